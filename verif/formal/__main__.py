import sys,time
from verif.formal.goals import GOALS
from verif.formal.prove import prove
for n in sys.argv[1:] or GOALS:
    t=time.time()
    try: r=prove(GOALS[n]); print(n, r, f"{r.seconds:.1f}", r.covers); print(r.table)
    except AssertionError as e: print("FAIL", e, time.time()-t)
