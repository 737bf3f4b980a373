"""Analyses a backup through the API with Huawei Cloud's Python SDK as it is, and prints the task
with its report as one line of JSON:

    export HUAWEICLOUD_SDK_AK=... HUAWEICLOUD_SDK_SK=...
    python3 analyze.py --endpoint http://127.0.0.1:8080 --project-id ... --instance-id ... \
        [--node-id ...] [--backup-id ...]

Without a node it takes the instance's first one, without a backup it asks for a new one.
"""

import argparse
import json
import os
import sys
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.utils.http_utils import sanitize_for_serialization
from huaweicloudsdkdcs.v2 import (
    CreateOfflineKeyAnalysisRequest,
    CreateOfflineKeyAnalysisRequestBody,
    DcsClient,
    DeleteOfflineKeyAnalysisTaskRequest,
    ListGroupReplicationInfoRequest,
    ListOfflineKeyAnalysisTaskRequest,
    ShowOfflineKeyAnalysisTaskRequest,
)


def client_of(endpoint, ak, sk, project_id):
    credentials = BasicCredentials(ak, sk, project_id)
    return DcsClient.new_builder().with_credentials(credentials).with_endpoint(endpoint).build()


def first_node(client, instance_id):
    groups = client.list_group_replication_info(ListGroupReplicationInfoRequest(instance_id))
    return groups.group_list[0].replication_list[0].node_id


def analyze(client, instance_id, node_id, backup_id=None):
    """Runs one analysis to its end, and answers the task, which it deletes."""
    body = CreateOfflineKeyAnalysisRequestBody(node_id=node_id, backup_id=backup_id)
    task_id = client.create_offline_key_analysis(
        CreateOfflineKeyAnalysisRequest(instance_id=instance_id, body=body)
    ).task_id
    status = "waiting"
    while status in ("waiting", "running"):
        time.sleep(1)
        listed = client.list_offline_key_analysis_task(
            ListOfflineKeyAnalysisTaskRequest(instance_id=instance_id)
        )
        status = next(record.status for record in listed.records if record.id == task_id)
    if status == "failed":
        raise RuntimeError(f"the analysis has failed: task {task_id}")
    task = client.show_offline_key_analysis_task(
        ShowOfflineKeyAnalysisTaskRequest(instance_id=instance_id, task_id=task_id)
    )
    client.delete_offline_key_analysis_task(
        DeleteOfflineKeyAnalysisTaskRequest(instance_id=instance_id, task_id=task_id)
    )
    return task


def main():
    parser = argparse.ArgumentParser()
    for name in ("--endpoint", "--project-id", "--instance-id"):
        parser.add_argument(name, required=True)
    parser.add_argument("--node-id")
    parser.add_argument("--backup-id")
    options = parser.parse_args()
    ak, sk = os.environ["HUAWEICLOUD_SDK_AK"], os.environ["HUAWEICLOUD_SDK_SK"]
    client = client_of(options.endpoint, ak, sk, options.project_id)
    try:
        node_id = options.node_id or first_node(client, options.instance_id)
        task = analyze(client, options.instance_id, node_id, options.backup_id)
    except ClientRequestException as error:
        sys.exit(f"{error.error_code}: {error.error_msg}")
    print(json.dumps(sanitize_for_serialization(task)))


if __name__ == "__main__":
    main()
