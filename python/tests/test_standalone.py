"""A standalone cluster: a master and two workers on loopback, one of which dies.

The last of the tests with Spark, since a process has one session at a time.
"""

from cluster import Cluster, in_background, session, stage_with_tasks
from conftest import NOW_MS

from offkey.spark import keys, register, report


def test_worker_killed_with_its_executor(slow, fleet, fleet_report, tmp_path):
    files, expected = slow
    with Cluster(workers=2, folder=tmp_path) as cluster, session(cluster.master) as spark:
        cluster.wait_for_executors()
        assert report(spark, fleet, now_ms=NOW_MS).to_dict() == fleet_report
        totals = (fleet_report["total_num"], fleet_report["total_bytes"])
        tables = [keys(spark, fleet, errors="report")]
        if hasattr(type(spark), "dataSource"):  # Spark 4
            register(spark)
            source = spark.read.format("offkey").option("errors", "report")
            tables.append(source.load([str(path) for path in fleet]))
        for table in tables:
            table.createOrReplaceTempView("keys")
            assert tuple(spark.sql("SELECT count(*), sum(bytes) FROM keys").first()) == totals
        wait = in_background(lambda: report(spark, files))
        stage_with_tasks(spark, 0)
        cluster.kill_worker()
        assert wait().to_dict() == expected
