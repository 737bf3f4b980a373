package offkey;

import com.huaweicloud.sdk.core.ClientBuilder;
import com.huaweicloud.sdk.core.auth.BasicCredentials;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.core.utils.JsonUtils;
import com.huaweicloud.sdk.dcs.v2.model.ListGroupReplicationInfoRequest;
import com.huaweicloud.sdk.dcs.v2.region.DcsRegion;
import offkey.OfflineKeyAnalysis.CreateOfflineKeyAnalysisRequest;
import offkey.OfflineKeyAnalysis.CreateOfflineKeyAnalysisRequestBody;
import offkey.OfflineKeyAnalysis.DeleteOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ListOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskResponse;

/**
 * Analyses a backup through the API with Huawei Cloud's Java SDK as it is, and prints the task with
 * its report as one line of JSON:
 *
 * <pre>
 * export HUAWEICLOUD_SDK_AK=... HUAWEICLOUD_SDK_SK=...
 * java -DEndpoint=http://127.0.0.1:8080 -DProjectId=... -DInstanceId=... \
 *     [-DNodeId=...] [-DBackupId=...] offkey.Analyze
 * </pre>
 *
 * Without a node it takes the instance's first one, without a backup it asks for a new one. With
 * -DRegion in place of endpoint and project, the SDK finds both: the endpoint in
 * HUAWEICLOUD_SDK_REGION_DCS_(REGION), the project by asking HUAWEICLOUD_SDK_IAM_ENDPOINT.
 */
public final class Analyze {
    private Analyze() {}

    public static void main(String[] arguments) throws InterruptedException {
        String ak = System.getenv("HUAWEICLOUD_SDK_AK");
        String sk = System.getenv("HUAWEICLOUD_SDK_SK");
        String region = System.getProperty("Region");
        DcsClient client = region == null
            ? clientOf(System.getProperty("Endpoint"), ak, sk, System.getProperty("ProjectId"))
            : clientOfRegion(region, ak, sk);
        String instanceId = System.getProperty("InstanceId");
        int status = 0;
        try {
            String nodeId = System.getProperty("NodeId");
            nodeId = nodeId == null ? firstNode(client, instanceId) : nodeId;
            System.out.println(JsonUtils.toJSON(
                analyze(client, instanceId, nodeId, System.getProperty("BackupId"))));
        } catch (ServiceResponseException error) {
            System.err.println(error);
            status = 1;
        }
        // The SDK's connections would keep the program alive for a while.
        System.exit(status);
    }

    static DcsClient clientOf(String endpoint, String ak, String sk, String projectId) {
        BasicCredentials credentials =
            new BasicCredentials().withAk(ak).withSk(sk).withProjectId(projectId);
        return DcsClient.builder().withCredential(credentials).withEndpoint(endpoint).build();
    }

    static DcsClient clientOfRegion(String region, String ak, String sk) {
        ClientBuilder<DcsClient> builder = DcsClient.builder();
        return builder.withCredential(new BasicCredentials().withAk(ak).withSk(sk))
            .withRegion(DcsRegion.valueOf(region)).build();
    }

    /** The first node of the instance's first group. */
    static String firstNode(DcsClient client, String instanceId) {
        return client
            .listGroupReplicationInfo(
                new ListGroupReplicationInfoRequest().withInstanceId(instanceId))
            .getGroupList().get(0).getReplicationList().get(0).getNodeId();
    }

    /** Runs one analysis to its end, and answers the task, which it deletes. */
    static ShowOfflineKeyAnalysisTaskResponse analyze(
            DcsClient client, String instanceId, String nodeId, String backupId)
            throws InterruptedException {
        String taskId = client.createOfflineKeyAnalysis(
            new CreateOfflineKeyAnalysisRequest().withInstanceId(instanceId).withBody(
                new CreateOfflineKeyAnalysisRequestBody()
                    .withNodeId(nodeId).withBackupId(backupId))).getTaskId();
        String status = "waiting";
        while (status.equals("waiting") || status.equals("running")) {
            Thread.sleep(1000);
            status = client.listOfflineKeyAnalysisTask(
                    new ListOfflineKeyAnalysisTaskRequest().withInstanceId(instanceId))
                .getRecords().stream().filter(record -> record.getId().equals(taskId))
                .findFirst().orElseThrow().getStatus();
        }
        if (status.equals("failed")) {
            throw new IllegalStateException("the analysis has failed: task " + taskId);
        }
        ShowOfflineKeyAnalysisTaskResponse task = client.showOfflineKeyAnalysisTask(
            new ShowOfflineKeyAnalysisTaskRequest()
                .withInstanceId(instanceId).withTaskId(taskId));
        client.deleteOfflineKeyAnalysisTask(
            new DeleteOfflineKeyAnalysisTaskRequest()
                .withInstanceId(instanceId).withTaskId(taskId));
        return task;
    }
}
