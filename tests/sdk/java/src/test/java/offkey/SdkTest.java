package offkey;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.dcs.v2.model.BackupRecordResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupRecordsRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListBackupRecordsResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListGroupReplicationInfoRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListGroupReplicationInfoResponse;
import com.huaweicloud.sdk.dcs.v2.model.ListInstancesRequest;
import com.huaweicloud.sdk.dcs.v2.model.ListInstancesResponse;
import com.huaweicloud.sdk.dcs.v2.model.ShowNodesInformationRequest;
import com.huaweicloud.sdk.dcs.v2.model.ShowNodesInformationResponse;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import offkey.OfflineKeyAnalysis.DeleteOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ListOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskResponse;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * Drives {@code offkey demo --json} with the official Java SDK, unmodified. Run by
 * scripts/sdk-java, which builds offkey and installs Java and Maven:
 *
 * <pre>mvn test -Doffkey=path/to/offkey</pre>
 */
class SdkTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final String OFFKEY = System.getProperty("offkey", "offkey");

    @TempDir static Path folder;
    private static Path sample;
    private static Path large;
    private static Process demo;
    private static JsonNode contract;
    private static String endpoint;
    private static String projectId;
    private static String ak;
    private static String sk;
    private static String instanceId;
    private static String nodeId;
    private static String sampleId;
    private static String largeId;
    private static DcsClient client;

    @BeforeAll
    static void startDemo() throws IOException {
        sample = Files.copy(Path.of("../../../testdata/demo.rdb"), folder.resolve("sample.rdb"));
        large = folder.resolve("large.rdb");
        Files.write(large, largeList());
        demo = new ProcessBuilder(OFFKEY, "demo", "--json", "--port", "0",
            "--data-dir", folder.toString(),
            "--backup", sample.toString(), "--backup", large.toString())
            .redirectError(ProcessBuilder.Redirect.DISCARD).start();
        contract = JSON.readTree(demo.inputReader().readLine());
        endpoint = contract.path("endpoint").textValue();
        projectId = contract.path("project_id").textValue();
        ak = contract.path("ak").textValue();
        sk = contract.path("sk").textValue();
        instanceId = contract.path("instance_id").textValue();
        nodeId = contract.at("/nodes/0/node_id").textValue();
        sampleId = contract.at("/nodes/0/backups/0").textValue();
        largeId = contract.at("/nodes/0/backups/1").textValue();
        client = Analyze.clientOf(endpoint, ak, sk, projectId);
    }

    @AfterAll
    static void stopDemo() throws InterruptedException {
        demo.destroy();
        demo.waitFor();
    }

    @Test
    void listingsLeadToABackup() throws IOException {
        ListInstancesResponse instances =
            client.listInstances(new ListInstancesRequest().withLimit(10));
        assertEquals(1, instances.getInstanceNum());
        assertEquals(instanceId, instances.getInstances().get(0).getInstanceId());
        assertEquals("RUNNING", instances.getInstances().get(0).getStatus());

        ListGroupReplicationInfoResponse groups = client.listGroupReplicationInfo(
            new ListGroupReplicationInfoRequest().withInstanceId(instanceId));
        assertEquals(1, groups.getGroupCount());
        var replication = groups.getGroupList().get(0).getReplicationList().get(0);
        assertEquals(nodeId, replication.getNodeId());
        assertEquals("master", replication.getReplicationRole());

        ShowNodesInformationResponse nodes = client.showNodesInformation(
            new ShowNodesInformationRequest().withInstanceId(instanceId));
        assertEquals(1, nodes.getTotal());
        assertEquals(nodeId, nodes.getNodes().get(0).getNodeId());
        assertEquals("master", nodes.getNodes().get(0).getNodeType().getValue());

        ListBackupRecordsResponse backups = client.listBackupRecords(
            new ListBackupRecordsRequest().withInstanceId(instanceId));
        assertEquals(2, backups.getTotalNum());
        for (BackupRecordResponse record : backups.getBackupRecordResponse()) {
            assertEquals("succeed", record.getStatus().getValue());
        }
        assertEquals(
            Map.of(sampleId, Files.size(sample), largeId, Files.size(large)),
            backups.getBackupRecordResponse().stream().collect(Collectors.toMap(
                BackupRecordResponse::getBackupId, BackupRecordResponse::getSize)));
    }

    @Test
    void analysisFromCreateToDelete() throws Exception {
        ShowOfflineKeyAnalysisTaskResponse task =
            Analyze.analyze(client, instanceId, nodeId, sampleId);
        assertEquals(instanceId, task.instanceId);
        assertEquals(nodeId, task.nodeId);
        assertEquals(sampleId, task.backupId);
        assertEquals("master", task.nodeType);
        assertEquals("old_backup", task.analysisType);
        assertTrue(task.startedAt.compareTo(task.finishedAt) <= 0);
        assertSameReport(JSON.valueToTree(task));

        // It is gone: not listed, not shown, not deleted twice.
        assertFalse(client.listOfflineKeyAnalysisTask(
                new ListOfflineKeyAnalysisTaskRequest().withInstanceId(instanceId).withLimit(100))
            .getRecords().stream().anyMatch(record -> record.getId().equals(task.id)));
        refused(400, "DCS.4232", () -> client.showOfflineKeyAnalysisTask(
            new ShowOfflineKeyAnalysisTaskRequest()
                .withInstanceId(instanceId).withTaskId(task.id)));
        refused(400, "DCS.4232", () -> client.deleteOfflineKeyAnalysisTask(
            new DeleteOfflineKeyAnalysisTaskRequest()
                .withInstanceId(instanceId).withTaskId(task.id)));
    }

    @Test
    void programTakesNodeAndBackup() throws Exception {
        String node = "-DNodeId=" + nodeId;
        String backup = "-DBackupId=" + sampleId;
        String service = "-DEndpoint=" + endpoint;
        String project = "-DProjectId=" + projectId;
        for (List<String> properties : List.of(
                List.of(service, project, node, backup),
                List.of(service, project, backup),
                // The SDK finds endpoint and project by the name of the region.
                List.of("-DRegion=demo", backup))) {
            Output output = program(properties);
            assertEquals("", output.problem);
            assertEquals(0, output.status);
            assertSameReport(JSON.readTree(output.text));
        }
        for (Map.Entry<String, List<String>> refusal : Map.of(
                "DCS.3053", List.of(service, project, "-DNodeId=nobody", backup),
                "DCS.4026", List.of(service, project, node)).entrySet()) {
            Output output = program(refusal.getValue());
            assertTrue(output.problem.contains(refusal.getKey()), output.problem);
            assertEquals(1, output.status);
        }
    }

    @Test
    void totalsAboveAnIntegerSaturate() throws Exception {
        JsonNode exact = report(large).path("total_bytes");
        assertTrue(exact.longValue() > Integer.MAX_VALUE, exact.toString());
        ShowOfflineKeyAnalysisTaskResponse task =
            Analyze.analyze(client, instanceId, nodeId, largeId);
        assertEquals(Integer.MAX_VALUE, task.totalBytes);
        assertEquals(1, task.totalNum);
        assertEquals(Integer.MAX_VALUE, task.largestKeys.get(0).bytes());
        assertEquals(Integer.MAX_VALUE, task.largestKeyPrefixes.get(0).bytes());
        assertEquals(5, task.typeBytes.size());
        for (var item : task.typeBytes) {
            assertEquals(item.type().equals("list") ? Integer.MAX_VALUE : 0, item.bytes());
        }
    }

    @Test
    void refusalsHaveTheirCodes() {
        refused(400, "DCS.3053", () -> Analyze.analyze(client, instanceId, "nobody", sampleId));
        String unknown = "99999999-cebf-4473-95c4-d1b573c16e79";
        refused(404, "DCS.3022", () -> Analyze.analyze(client, unknown, nodeId, sampleId));
        DcsClient stranger = Analyze.clientOf(endpoint, ak, sk + "x", projectId);
        refused(401, "APIGW.0301", () -> stranger.listInstances(new ListInstancesRequest()));
    }

    private static void refused(int status, String code, Executable call) {
        ServiceResponseException refusal = assertThrows(ServiceResponseException.class, call);
        assertEquals(status, refusal.getHttpStatusCode());
        assertEquals(code, refusal.getErrorCode());
        assertFalse(refusal.getErrorMsg().isEmpty());
        assertTrue(refusal.getRequestId().matches("[0-9a-f]{32}"), refusal.getRequestId());
    }

    /** Compares a task with what the command line says of the sample, member by member. */
    private static void assertSameReport(JsonNode task) throws IOException {
        JsonNode report = report(sample);
        assertTrue(report.path("total_num").intValue() > 1000);
        assertEquals(100, report.path("largest_keys").size());
        assertTrue(report.path("largest_key_prefixes").size() > 0);
        for (String name : List.of("total_num", "total_bytes")) {
            assertEquals(report.path(name).intValue(), task.path(name).intValue(), name);
        }
        for (String name : List.of(
                "type_num", "type_bytes", "largest_keys", "largest_key_prefixes")) {
            assertEquals(report.path(name).size(), task.path(name).size(), name);
            for (int at = 0; at < task.path(name).size(); at++) {
                // The report says more of a key than the SDK has fields for.
                Iterator<String> fields = task.path(name).path(at).fieldNames();
                assertTrue(fields.hasNext(), name);
                while (fields.hasNext()) {
                    String path = "/" + name + "/" + at + "/" + fields.next();
                    assertEquals(report.at(path), task.at(path), path);
                }
            }
        }
    }

    /** What the command line says of a file. */
    private static JsonNode report(Path file) throws IOException {
        Process analyze =
            new ProcessBuilder(OFFKEY, "analyze", "--format", "json", file.toString())
                .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        return JSON.readTree(analyze.getInputStream().readAllBytes());
    }

    private record Output(int status, String text, String problem) {}

    /** Runs {@link Analyze} as a program of its own. */
    private static Output program(List<String> properties)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp", System.getProperty("java.class.path"), "-DInstanceId=" + instanceId));
        command.addAll(properties);
        command.add("offkey.Analyze");
        Path problem = folder.resolve("problem");
        ProcessBuilder builder = new ProcessBuilder(command).redirectError(problem.toFile());
        builder.environment().putAll(Map.of(
            "HUAWEICLOUD_SDK_AK", ak, "HUAWEICLOUD_SDK_SK", sk,
            "HUAWEICLOUD_SDK_REGION_DCS_DEMO", endpoint,
            "HUAWEICLOUD_SDK_IAM_ENDPOINT", endpoint));
        Process program = builder.start();
        String text = new String(program.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Output(program.waitFor(), text, Files.readString(problem));
    }

    /**
     * A file with a list of 2.5 GiB, as LZF packs it: of each element one letter, and then that it
     * comes again 264 times, and again.
     */
    private static byte[] largeList() throws IOException {
        int repeats = 254_200;
        int elements = 40;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream file = new DataOutputStream(bytes);
        file.writeBytes("REDIS0009");
        file.write(new byte[] {(byte) 0xfe, 0, 1, 8});
        file.writeBytes("big:list");
        file.write(elements);
        for (int element = 0; element < elements; element++) {
            file.write(0xc3);
            file.write(0x80);
            file.writeInt(2 + 3 * repeats);
            file.write(0x80);
            file.writeInt(1 + 264 * repeats);
            file.write(new byte[] {0, 'a'});
            for (int repeat = 0; repeat < repeats; repeat++) {
                file.write(new byte[] {(byte) 0xe0, (byte) 0xff, 0});
            }
        }
        file.write(0xff);
        file.write(new byte[8]);
        return bytes.toByteArray();
    }
}
