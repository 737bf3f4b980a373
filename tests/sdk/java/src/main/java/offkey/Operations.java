package offkey;

import com.huaweicloud.sdk.core.SdkResponse;
import com.huaweicloud.sdk.dcs.v2.model.BackupInstanceBody;
import com.huaweicloud.sdk.dcs.v2.model.BackupRecordResponse;
import com.huaweicloud.sdk.dcs.v2.model.CopyInstanceRequest;
import com.huaweicloud.sdk.dcs.v2.model.DeleteBackupFileRequest;
import com.huaweicloud.sdk.dcs.v2.model.DownloadBackupFilesReq;
import com.huaweicloud.sdk.dcs.v2.model.ListBackgroundTaskRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupFileLinksRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupRecordsRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListGroupReplicationInfoRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListInstancesRequest;
import com.huaweicloud.sdk.dcs.v2.model.ShowInstanceRequest;
import com.huaweicloud.sdk.dcs.v2.model.ShowNodesInformationRequest;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The operations besides the analysis, of the SDK's own client; docs/API.md shows them. */
final class Operations {
    private Operations() {}

    /** What there is: the answers, one after the other. */
    static List<SdkResponse> look(
            com.huaweicloud.sdk.dcs.v2.DcsClient client, String instanceId) {
        return List.of(
            client.listInstances(
                new ListInstancesRequest().withStatus("RUNNING").withLimit(100)),
            client.showInstance(new ShowInstanceRequest().withInstanceId(instanceId)),
            client.listGroupReplicationInfo(
                new ListGroupReplicationInfoRequest().withInstanceId(instanceId)),
            client.showNodesInformation(
                new ShowNodesInformationRequest().withInstanceId(instanceId)),
            client.listBackupRecords(new ListBackupRecordsRequest()
                .withInstanceId(instanceId).withBeginTime("20200101000000")),
            client.listBackgroundTask(
                new ListBackgroundTaskRequest().withInstanceId(instanceId).withLimit(5)));
    }

    /** Takes a backup, saves its first file as {@code path}, and deletes the backup. */
    static String backUp(
            com.huaweicloud.sdk.dcs.v2.DcsClient client, String instanceId, Path path)
            throws IOException, InterruptedException {
        String backupId = client.copyInstance(
            new CopyInstanceRequest().withInstanceId(instanceId).withBody(
                new BackupInstanceBody().withRemark("by hand")
                    .withBackupFormat(BackupInstanceBody.BackupFormatEnum.RDB))).getBackupId();
        String status = "waiting";
        while (status.equals("waiting") || status.equals("backuping")) {
            Thread.sleep(1000);
            status = client.listBackupRecords(
                    new ListBackupRecordsRequest().withInstanceId(instanceId))
                .getBackupRecordResponse().stream()
                .filter(record -> record.getBackupId().equals(backupId))
                .map(BackupRecordResponse::getStatus).findFirst().orElseThrow().getValue();
        }
        if (!status.equals("succeed")) {
            throw new IllegalStateException("the backup has failed: " + backupId);
        }
        String link = client.listBackupFileLinks(
            new ListBackupFileLinksRequest().withInstanceId(instanceId).withBackupId(backupId)
                .withBody(new DownloadBackupFilesReq().withExpiration(300)))
            .getLinks().get(0).getLink();
        try (InputStream file = URI.create(link).toURL().openStream()) {
            Files.copy(file, path);
        }
        client.deleteBackupFile(
            new DeleteBackupFileRequest().withInstanceId(instanceId).withBackupId(backupId));
        return backupId;
    }
}
