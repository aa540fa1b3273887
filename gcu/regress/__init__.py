"""`gcu regress`: the tests of the database on local cores or on a dask cluster, and the report."""
