"""Drives `offkey demo --json` with the official Python SDK, unmodified.

Run by scripts/sdk-python, which builds offkey and installs the SDK:

    test_python_sdk.py path/to/offkey
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkdcs.v2 import (
    BackupInstanceBody,
    CopyInstanceRequest,
    CreateOfflineKeyAnalysisRequest,
    CreateOfflineKeyAnalysisRequestBody,
    DcsClient,
    DeleteBackupFileRequest,
    DeleteOfflineKeyAnalysisTaskRequest,
    DownloadBackupFilesReq,
    ListBackgroundTaskRequest,
    ListBackupFileLinksRequest,
    ListBackupRecordsRequest,
    ListGroupReplicationInfoRequest,
    ListInstancesRequest,
    ListOfflineKeyAnalysisTaskRequest,
    ShowInstanceRequest,
    ShowNodesInformationRequest,
    ShowOfflineKeyAnalysisTaskRequest,
)

REPOSITORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SAMPLE = os.path.join(REPOSITORY, "testdata", "demo.rdb")
PROGRAM = os.path.join(REPOSITORY, "tests", "sdk", "analyze.py")
OFFKEY = sys.argv.pop(1) if len(sys.argv) > 1 else "offkey"

# Nobody's; they have the right form.
UNKNOWN = "99999999-cebf-4473-95c4-d1b573c16e79"


class PythonSdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cut = os.path.join(cls.folder.name, "cut.rdb")
        with open(SAMPLE, "rb") as whole, open(cls.cut, "wb") as cut:
            cut.write(whole.read()[:100_000])
        cls.many = os.path.join(cls.folder.name, "many.rdb")
        with open(cls.many, "wb") as many:
            many.write(b"REDIS0009\xfe\x00")
            for number in range(2_000_000):
                many.write(b"\x00\x0ckey:%08d\x05value" % number)
            many.write(b"\xff" + bytes(8))
        command = [OFFKEY, "demo", "--json", "--port", "0", "--data-dir", cls.folder.name]
        cls.spare = os.path.join(cls.folder.name, "spare.rdb")
        shutil.copy(SAMPLE, cls.spare)
        for backup in (SAMPLE, cls.cut, cls.many, cls.spare):
            command += ["--backup", backup]
        cls.demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        contract = json.loads(cls.demo.stdout.readline())
        cls.contract = contract
        cls.instance_id = contract["instance_id"]
        cls.node_id = contract["nodes"][0]["node_id"]
        backups = contract["nodes"][0]["backups"]
        cls.sample_id, cls.cut_id, cls.many_id, cls.spare_id = backups
        cls.client = cls.client_of(contract["ak"], contract["sk"], contract["project_id"])

    @classmethod
    def tearDownClass(cls):
        cls.demo.terminate()
        cls.demo.wait(30)
        cls.demo.stdout.close()
        cls.folder.cleanup()

    @classmethod
    def client_of(cls, ak, sk, project_id):
        return (
            DcsClient.new_builder()
            .with_credentials(BasicCredentials(ak, sk, project_id))
            .with_endpoint(cls.contract["endpoint"])
            .build()
        )

    def create(self, backup_id, **changes):
        body = {"node_id": self.node_id, "backup_id": backup_id, **changes}
        return self.client.create_offline_key_analysis(
            CreateOfflineKeyAnalysisRequest(
                instance_id=self.instance_id, body=CreateOfflineKeyAnalysisRequestBody(**body)
            )
        ).task_id

    def records(self, **query):
        request = ListOfflineKeyAnalysisTaskRequest(instance_id=self.instance_id, **query)
        return self.client.list_offline_key_analysis_task(request)

    def show(self, task_id):
        request = ShowOfflineKeyAnalysisTaskRequest(instance_id=self.instance_id, task_id=task_id)
        return self.client.show_offline_key_analysis_task(request)

    def delete(self, task_id):
        request = DeleteOfflineKeyAnalysisTaskRequest(
            instance_id=self.instance_id, task_id=task_id
        )
        return self.client.delete_offline_key_analysis_task(request).task_id

    def wait(self, task_id):
        """Polls the list until the task has ended, and answers its record."""
        for _ in range(600):
            for record in self.records(limit=100).records:
                if record.id == task_id and record.status in ("success", "failed"):
                    return record
            time.sleep(0.1)
        self.fail(f"task has not ended: {task_id}")

    def report(self, file):
        """What the command line says of a file."""
        output = subprocess.run(
            [OFFKEY, "analyze", "--format", "json", file], check=True, stdout=subprocess.PIPE
        )
        return json.loads(output.stdout)

    def program(self, *arguments):
        """Runs analyze.py, and answers what it prints and what it complains of."""
        # A signature counts whole seconds: the same request sent on another connection within
        # one second is a replay.
        time.sleep(1)
        contract = self.contract
        address = ["--endpoint", contract["endpoint"], "--project-id", contract["project_id"]]
        ended = subprocess.run(
            [sys.executable, PROGRAM, *address, "--instance-id", self.instance_id, *arguments],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "HUAWEICLOUD_SDK_AK": contract["ak"],
                "HUAWEICLOUD_SDK_SK": contract["sk"],
            },
        )
        self.assertEqual(ended.returncode == 0, ended.stderr == "", ended.stderr)
        return ended.stdout, ended.stderr

    def refused(self, expected, call, *args, **kwargs):
        with self.assertRaises(ClientRequestException) as caught:
            call(*args, **kwargs)
        error = caught.exception
        self.assertEqual((error.status_code, error.error_code), expected)
        self.assertTrue(error.error_msg)
        self.assertRegex(error.request_id, "^[0-9a-f]{32}$")

    def test_listings_lead_to_a_backup(self):
        instances = self.client.list_instances(ListInstancesRequest(limit=10))
        self.assertEqual(instances.instance_num, 1)
        instance = instances.instances[0]
        self.assertEqual((instance.instance_id, instance.status), (self.instance_id, "RUNNING"))
        shown = self.client.show_instance(ShowInstanceRequest(instance_id=self.instance_id))
        self.assertEqual((shown.name, shown.engine), (instance.name, "Redis"))
        groups = self.client.list_group_replication_info(
            ListGroupReplicationInfoRequest(instance_id=self.instance_id)
        )
        self.assertEqual(groups.group_count, 1)
        replication = groups.group_list[0].replication_list[0]
        self.assertEqual((replication.node_id, replication.replication_role), (self.node_id, "master"))
        nodes = self.client.show_nodes_information(
            ShowNodesInformationRequest(instance_id=self.instance_id)
        )
        self.assertEqual((nodes.total, nodes.nodes[0].node_id), (1, self.node_id))
        backups = self.client.list_backup_records(
            ListBackupRecordsRequest(instance_id=self.instance_id)
        )
        by_id = {record.backup_id: record for record in backups.backup_record_response}
        self.assertEqual(len(by_id), backups.total_num)
        self.assertLessEqual({self.sample_id, self.cut_id, self.many_id}, set(by_id))
        sample = by_id[self.sample_id]
        self.assertEqual((sample.backup_name, sample.status), ("demo.rdb", "succeed"))
        self.assertEqual(sample.size, os.path.getsize(SAMPLE))

    def test_analysis_from_create_to_delete(self):
        task_id = self.create(self.sample_id)
        record = self.wait(task_id)
        self.assertEqual(record.status, "success")
        self.assertLessEqual(record.started_at, record.finished_at)
        shown = self.show(task_id)
        self.assertEqual(shown.id, task_id)
        self.assertEqual((shown.node_id, shown.backup_id), (self.node_id, self.sample_id))
        self.assertEqual((shown.node_type, shown.analysis_type), ("master", "old_backup"))

        # What the command line says of the same file, member by member.
        report = self.report(SAMPLE)
        self.assertGreater(report["total_num"], 1000)
        for name in ("total_num", "total_bytes"):
            self.assertEqual(getattr(shown, name), report[name], name)
        for name, fields in {
            "type_num": ("type", "num"),
            "type_bytes": ("type", "bytes"),
            "largest_keys": ("key", "type", "bytes", "num_of_elem"),
            "largest_key_prefixes": ("key_prefix", "type", "bytes", "num"),
        }.items():
            ours = [tuple(getattr(item, field) for field in fields) for item in getattr(shown, name)]
            theirs = [tuple(item[field] for field in fields) for item in report[name]]
            self.assertTrue(ours, name)
            self.assertEqual(ours, theirs, name)

        self.assertEqual(self.delete(task_id), task_id)
        self.assertNotIn(task_id, [record.id for record in self.records(limit=100).records])
        self.refused((400, "DCS.4232"), self.show, task_id)
        self.refused((400, "DCS.4232"), self.delete, task_id)

    def links(self, backup_id, seconds=300):
        request = ListBackupFileLinksRequest(
            instance_id=self.instance_id,
            backup_id=backup_id,
            body=DownloadBackupFilesReq(expiration=seconds),
        )
        return self.client.list_backup_file_links(request)

    def test_link_opens_the_file_of_a_backup(self):
        [link] = self.links(self.sample_id).links
        self.assertEqual(link.file_name, "demo.rdb")
        with open(SAMPLE, "rb") as file, urllib.request.urlopen(link.link) as answer:
            whole = file.read()
            self.assertEqual(answer.read(), whole)
        part = urllib.request.Request(link.link, headers={"Range": "bytes=100-199"})
        with urllib.request.urlopen(part) as answer:
            self.assertEqual((answer.status, answer.read()), (206, whole[100:200]))
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(link.link[:-1] + ("0" if link.link[-1] != "0" else "1"))
        self.assertEqual(caught.exception.code, 403)
        caught.exception.close()
        self.refused((400, "DCS.4063"), self.links, self.sample_id, 299)
        self.refused((400, "DCS.4063"), self.links, UNKNOWN)

    def test_deleted_backup_is_gone(self):
        request = DeleteBackupFileRequest(instance_id=self.instance_id, backup_id=self.spare_id)
        self.client.delete_backup_file(request)
        backups = self.client.list_backup_records(
            ListBackupRecordsRequest(instance_id=self.instance_id, limit=1000)
        )
        ids = [record.backup_id for record in backups.backup_record_response]
        self.assertNotIn(self.spare_id, ids)
        request = DeleteBackupFileRequest(instance_id=self.instance_id, backup_id=UNKNOWN)
        self.refused((400, "DCS.4063"), self.client.delete_backup_file, request)

    def test_new_backup_is_refused_while_none_can_be_taken(self):
        request = CopyInstanceRequest(
            instance_id=self.instance_id, body=BackupInstanceBody(remark="r", backup_format="rdb")
        )
        self.refused((400, "DCS.4026"), self.client.copy_instance, request)

    def test_background_tasks_are_the_analyses(self):
        task_id = self.create(self.sample_id)
        self.wait(task_id)
        listed = self.client.list_background_task(
            ListBackgroundTaskRequest(
                instance_id=self.instance_id, limit=1000, start_time="20200101000000"
            )
        )
        self.assertEqual(listed.task_count, str(len(listed.tasks)))
        [task] = [task for task in listed.tasks if task.id == task_id]
        self.assertEqual((task.name, task.status), ("OfflineKeyAnalysis", "SUCCESS"))
        self.delete(task_id)

    def test_listings_are_filtered(self):
        def found(**query):
            return self.client.list_instances(ListInstancesRequest(**query)).instance_num

        self.assertEqual(found(instance_id=self.instance_id, status="RUNNING"), 1)
        for query in ({"instance_id": UNKNOWN}, {"tags": "a=b"}, {"ip": "192.0.2.99"}):
            self.assertEqual(found(**query), 0, query)
        for query in ({"instance_id": "x"}, {"tags": "a"}, {"name_equal": "x"}):
            self.refused((400, "DCS.4062"), found, **query)
        backups = self.client.list_backup_records(
            ListBackupRecordsRequest(
                instance_id=self.instance_id,
                begin_time="20000101000000",
                end_time="20000101000001",
            )
        )
        self.assertEqual((backups.total_num, backups.backup_record_response), (0, []))

    def test_program_takes_node_and_backup(self):
        report = self.report(SAMPLE)
        backup = ("--backup-id", self.sample_id)
        for arguments in (("--node-id", self.node_id, *backup), backup):
            output, problem = self.program(*arguments)
            self.assertEqual(problem, "")
            task = json.loads(output)
            self.assertEqual((task["node_id"], task["backup_id"]), (self.node_id, self.sample_id))
            self.assertEqual(task["total_bytes"], report["total_bytes"])
            self.assertEqual(len(task["largest_keys"]), len(report["largest_keys"]))
        for code, arguments in {
            "DCS.3053": ("--node-id", "nobody", *backup),
            "DCS.4026": ("--node-id", self.node_id),
        }.items():
            self.assertIn(code, self.program(*arguments)[1])

    def test_list_is_paged(self):
        made = []
        for _ in range(5):
            made.insert(0, self.create(self.sample_id))
            self.wait(made[0])
        listed, offset = [], 0
        while page := self.records(offset=offset, limit=2).records:
            self.assertLessEqual(len(page), 2)
            listed += [record.id for record in page]
            offset += len(page)
        self.assertEqual([task_id for task_id in listed if task_id in made], made)
        self.assertEqual(self.records(status="success", limit=1).total, len(listed))
        self.assertEqual(self.records(status="waiting").records, [])
        for task_id in made:
            self.delete(task_id)

    def test_running_analysis_is_alone(self):
        task_id = self.create(self.many_id)
        while self.records(status="running").total == 0:
            time.sleep(0.01)
        self.refused((400, "DCS.4231"), self.create, self.sample_id)
        self.refused((400, "DCS.4231"), self.delete, task_id)
        # As a client does that tries again until it may.
        deleted = None
        while deleted is None:
            try:
                deleted = self.delete(task_id)
            except ClientRequestException as error:
                self.assertEqual(error.error_code, "DCS.4231")
                time.sleep(0.05)
        self.assertEqual(deleted, task_id)

    def test_cut_backup_fails(self):
        task_id = self.create(self.cut_id)
        self.assertEqual(self.wait(task_id).status, "failed")
        shown = self.show(task_id)
        self.assertEqual((shown.largest_keys, shown.total_num), ([], None))
        self.delete(task_id)

    def test_refusals_have_their_codes(self):
        self.refused((400, "DCS.3053"), self.create, self.sample_id, node_id="nobody")
        self.refused((400, "DCS.4063"), self.create, UNKNOWN)
        self.refused((400, "DCS.4063"), self.create, "malformed")
        self.refused((400, "DCS.4026"), self.create, None)
        self.refused((400, "DCS.4062"), self.records, limit=1001)
        self.refused((400, "DCS.4062"), self.records, status="done")
        self.refused((400, "DCS.4232"), self.show, UNKNOWN)
        self.refused((400, "DCS.4070"), self.show, "malformed")
        for instance_id, status, code in ((UNKNOWN, 404, "DCS.3022"), ("x", 400, "DCS.4061")):
            request = ShowInstanceRequest(instance_id=instance_id)
            self.refused((status, code), self.client.show_instance, request)

    def test_callers_are_verified(self):
        ak, sk = self.contract["ak"], self.contract["sk"]
        project_id = self.contract["project_id"]
        for client, status, code in (
            (self.client_of(ak, sk + "x", project_id), 401, "APIGW.0301"),
            (self.client_of(ak + "X", sk, project_id), 401, "APIGW.0301"),
            (self.client_of(ak, sk, "f" * 32), 401, "DCS.1004"),
            (self.client_of(ak, sk, "short"), 400, "DCS.4002"),
        ):
            self.refused((status, code), client.list_instances, ListInstancesRequest())

    def test_project_is_found_by_the_region(self):
        endpoint = self.contract["endpoint"]
        credentials = BasicCredentials(self.contract["ak"], self.contract["sk"])
        client = (
            DcsClient.new_builder()
            .with_credentials(credentials.with_iam_endpoint(endpoint))
            .with_region(Region("demo", endpoint))
            .build()
        )
        self.assertEqual(client.list_instances(ListInstancesRequest()).instance_num, 1)


if __name__ == "__main__":
    unittest.main()
