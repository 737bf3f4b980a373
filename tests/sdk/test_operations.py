"""Runs what docs/API.md shows of the operations besides the analysis: the functions of
operations.py, and the lines with curl. Run by scripts/sdk-python:

    test_operations.py path/to/offkey
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkdcs.v2 import ListBackupRecordsRequest, ListInstancesRequest

import analyze
import operations

FOLDER = os.path.dirname(os.path.abspath(__file__))
OFFKEY = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "offkey"


class Operations(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [sys.executable, os.path.join(FOLDER, "live.py"), OFFKEY]
        cls.live = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        cls.contract = json.loads(cls.live.stdout.readline())
        cls.instance_id = cls.contract["instance_id"]
        cls.node_id = cls.contract["nodes"][0]["node_id"]
        cls.key = (cls.contract["ak"], cls.contract["sk"])
        cls.client = analyze.client_of(
            cls.contract["endpoint"], *cls.key, cls.contract["project_id"]
        )

    @classmethod
    def tearDownClass(cls):
        cls.live.communicate(timeout=60)

    def backups(self):
        listed = self.client.list_backup_records(ListBackupRecordsRequest(self.instance_id))
        return [record.backup_id for record in listed.backup_record_response]

    def test_project_is_found_by_the_region(self):
        endpoint = self.contract["endpoint"]
        os.environ["HUAWEICLOUD_SDK_REGION_DCS_DEMO"] = endpoint
        client = operations.client_of_region("demo", endpoint, *self.key)
        listed = client.list_instances(ListInstancesRequest())
        self.assertEqual(listed.instances[0].instance_id, self.instance_id)

    def test_listings_tell_of_the_instance(self):
        instances, instance, groups, nodes, backups, tasks = operations.look(
            self.client, self.instance_id
        )
        self.assertEqual(instances.instances[0].instance_id, self.instance_id)
        self.assertEqual((instance.name, instance.status), ("live", "RUNNING"))
        self.assertEqual(groups.group_list[0].replication_list[0].node_id, self.node_id)
        self.assertEqual([node.node_id for node in nodes.nodes], [self.node_id])
        names = [record.backup_name for record in backups.backup_record_response]
        self.assertIn("demo.rdb", names)
        self.assertEqual(tasks.task_count, str(len(tasks.tasks)))

    def test_backup_from_its_making_to_its_end(self):
        before = self.backups()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "backup.rdb")
            backup_id = operations.back_up(self.client, self.instance_id, path)
            report = subprocess.check_output([OFFKEY, "analyze", "--format", "json", path])
        self.assertEqual(json.loads(report)["total_num"], 1)
        self.assertNotIn(backup_id, before)
        self.assertEqual(self.backups(), before)
        with self.assertRaises(ClientRequestException) as caught:
            operations.back_up(self.client, "99999999-cebf-4473-95c4-d1b573c16e79", "")
        self.assertEqual(caught.exception.error_code, "DCS.3022")

    def test_analysis_without_a_backup_takes_one(self):
        before = self.backups()
        task = analyze.analyze(self.client, self.instance_id, self.node_id)
        self.assertEqual((task.analysis_type, task.total_num), ("new_backup", 1))
        self.assertNotIn(task.backup_id, before)
        self.assertIn(task.backup_id, self.backups())

    def test_lines_with_curl_work(self):
        with open(os.path.join(FOLDER, "..", "..", "docs", "API.md"), encoding="utf-8") as file:
            blocks = re.findall(r"^```sh\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
        self.assertGreaterEqual(len(blocks), 4)
        before = self.backups()
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
            capture_output=True,
            env={
                **os.environ,
                "ENDPOINT": self.contract["endpoint"],
                "AK": self.contract["ak"],
                "SK": self.contract["sk"],
                "PROJECT": self.contract["project_id"],
                "INSTANCE": self.instance_id,
                "NODE": self.node_id,
            },
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, b""), ended.stdout)
        for part in (
            b'"projects":',
            b'"instance_num":1',
            b'"group_count":1',
            b'"task_count":',
            b'"status":"success"',
            b"section,type,db,key,",
            b"REDIS00",
        ):
            self.assertIn(part, ended.stdout)
        self.assertEqual(self.backups(), before)


if __name__ == "__main__":
    unittest.main()
