GOALS = []
