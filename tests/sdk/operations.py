"""The operations besides the analysis, with Huawei Cloud's Python SDK as it is; docs/API.md shows
these functions, test_operations.py calls them."""

import time
import urllib.request

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkdcs.v2 import (
    BackupInstanceBody,
    CopyInstanceRequest,
    DcsClient,
    DeleteBackupFileRequest,
    DownloadBackupFilesReq,
    ListBackgroundTaskRequest,
    ListBackupFileLinksRequest,
    ListBackupRecordsRequest,
    ListGroupReplicationInfoRequest,
    ListInstancesRequest,
    ShowInstanceRequest,
    ShowNodesInformationRequest,
)
from huaweicloudsdkdcs.v2.region.dcs_region import DcsRegion


def client_of_region(region, iam_endpoint, ak, sk):
    """The endpoint is in HUAWEICLOUD_SDK_REGION_DCS_<REGION>, the project is asked for."""
    credentials = BasicCredentials(ak, sk).with_iam_endpoint(iam_endpoint)
    builder = DcsClient.new_builder().with_credentials(credentials)
    return builder.with_region(DcsRegion.value_of(region)).build()


def look(client, instance_id):
    """What there is: the answers, one after the other."""
    return [
        client.list_instances(ListInstancesRequest(status="RUNNING", limit=100)),
        client.show_instance(ShowInstanceRequest(instance_id=instance_id)),
        client.list_group_replication_info(
            ListGroupReplicationInfoRequest(instance_id=instance_id)
        ),
        client.show_nodes_information(ShowNodesInformationRequest(instance_id=instance_id)),
        client.list_backup_records(
            ListBackupRecordsRequest(instance_id=instance_id, begin_time="20200101000000")
        ),
        client.list_background_task(ListBackgroundTaskRequest(instance_id=instance_id, limit=5)),
    ]


def back_up(client, instance_id, path):
    """Takes a backup, saves its first file as `path`, and deletes the backup."""
    body = BackupInstanceBody(remark="by hand", backup_format="rdb")
    backup_id = client.copy_instance(
        CopyInstanceRequest(instance_id=instance_id, body=body)
    ).backup_id
    status = "waiting"
    while status in ("waiting", "backuping"):
        time.sleep(1)
        listed = client.list_backup_records(ListBackupRecordsRequest(instance_id=instance_id))
        records = listed.backup_record_response
        status = next(record.status for record in records if record.backup_id == backup_id)
    if status != "succeed":
        raise RuntimeError(f"the backup has failed: {backup_id}")
    body = DownloadBackupFilesReq(expiration=300)
    links = client.list_backup_file_links(
        ListBackupFileLinksRequest(instance_id=instance_id, backup_id=backup_id, body=body)
    ).links
    urllib.request.urlretrieve(links[0].link, path)
    client.delete_backup_file(
        DeleteBackupFileRequest(instance_id=instance_id, backup_id=backup_id)
    )
    return backup_id
