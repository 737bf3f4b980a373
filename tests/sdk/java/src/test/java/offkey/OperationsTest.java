package offkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.dcs.v2.model.BackupRecordResponse;
import com.huaweicloud.sdk.dcs.v2.model.DeleteBackupFileRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackgroundTaskResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupRecordsRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupRecordsResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListGroupReplicationInfoResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListInstancesResponse;
import com.huaweicloud.sdk.dcs.v2.model.ShowInstanceResponse;
import com.huaweicloud.sdk.dcs.v2.model.ShowNodesInformationResponse;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskResponse;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Drives a service whose instance is a real server, see tests/sdk/live.py. */
class OperationsTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String OFFKEY = System.getProperty("offkey", "offkey");

    @TempDir static Path folder;
    private static Process live;
    private static String instanceId;
    private static String nodeId;
    private static DcsClient client;

    @BeforeAll
    static void startLive() throws IOException {
        live = new ProcessBuilder("python3", "../live.py", OFFKEY)
            .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        JsonNode contract = JSON.readTree(live.inputReader().readLine());
        instanceId = contract.path("instance_id").textValue();
        nodeId = contract.at("/nodes/0/node_id").textValue();
        client = Analyze.clientOf(
            contract.path("endpoint").textValue(), contract.path("ak").textValue(),
            contract.path("sk").textValue(), contract.path("project_id").textValue());
    }

    @AfterAll
    static void stopLive() throws IOException, InterruptedException {
        live.outputWriter().close();
        assertEquals(0, live.waitFor());
    }

    @Test
    void listingsTellOfTheInstance() {
        var answers = Operations.look(client, instanceId);
        var instances = (ListInstancesResponse) answers.get(0);
        assertEquals(instanceId, instances.getInstances().get(0).getInstanceId());
        assertEquals("live", ((ShowInstanceResponse) answers.get(1)).getName());
        var groups = (ListGroupReplicationInfoResponse) answers.get(2);
        assertEquals(
            nodeId, groups.getGroupList().get(0).getReplicationList().get(0).getNodeId());
        assertEquals(1, ((ShowNodesInformationResponse) answers.get(3)).getTotal());
        var backups = (ListBackupRecordsResponse) answers.get(4);
        assertEquals(backups.getTotalNum(), backups.getBackupRecordResponse().size());
        var tasks = (ListBackgroundTaskResponse) answers.get(5);
        assertEquals(tasks.getTaskCount(), "" + tasks.getTasks().size());
    }

    @Test
    void backupFromItsMakingToItsEnd() throws Exception {
        List<String> before = backups();
        Path path = folder.resolve("backup.rdb");
        String backupId = Operations.backUp(client, instanceId, path);
        Process analyze =
            new ProcessBuilder(OFFKEY, "analyze", "--format", "json", path.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        JsonNode report = JSON.readTree(analyze.getInputStream().readAllBytes());
        assertEquals(1, report.path("total_num").intValue());
        assertFalse(before.contains(backupId));
        assertEquals(before, backups());
        var refusal = assertThrows(ServiceResponseException.class,
            () -> client.deleteBackupFile(new DeleteBackupFileRequest()
                .withInstanceId(instanceId).withBackupId(backupId)));
        assertEquals("DCS.4063", refusal.getErrorCode());
    }

    @Test
    void analysisWithoutABackupTakesOne() throws Exception {
        ShowOfflineKeyAnalysisTaskResponse task =
            Analyze.analyze(client, instanceId, nodeId, null);
        assertEquals("new_backup", task.analysisType);
        assertEquals(1, task.totalNum);
    }

    private static List<String> backups() {
        return client.listBackupRecords(new ListBackupRecordsRequest().withInstanceId(instanceId))
            .getBackupRecordResponse().stream().map(BackupRecordResponse::getBackupId).toList();
    }
}
