package offkey;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.huaweicloud.sdk.core.SdkResponse;
import java.util.List;

/** Requests and answers of {@link DcsClient}, with the names and the types that the SDKs have. */
final class OfflineKeyAnalysis {
    private OfflineKeyAnalysis() {}

    abstract static class InstanceRequest<R> {
        private String instanceId;

        public String getInstanceId() {
            return instanceId;
        }

        @SuppressWarnings("unchecked")
        public R withInstanceId(String instanceId) {
            this.instanceId = instanceId;
            return (R) this;
        }
    }

    abstract static class TaskRequest<R> extends InstanceRequest<R> {
        private String taskId;

        public String getTaskId() {
            return taskId;
        }

        @SuppressWarnings("unchecked")
        public R withTaskId(String taskId) {
            this.taskId = taskId;
            return (R) this;
        }
    }

    static final class CreateOfflineKeyAnalysisRequest
            extends InstanceRequest<CreateOfflineKeyAnalysisRequest> {
        private CreateOfflineKeyAnalysisRequestBody body;

        public CreateOfflineKeyAnalysisRequestBody getBody() {
            return body;
        }

        public CreateOfflineKeyAnalysisRequest withBody(CreateOfflineKeyAnalysisRequestBody body) {
            this.body = body;
            return this;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    static final class CreateOfflineKeyAnalysisRequestBody {
        @JsonProperty("node_id") private String nodeId;
        @JsonProperty("backup_id") private String backupId;

        public CreateOfflineKeyAnalysisRequestBody withNodeId(String nodeId) {
            this.nodeId = nodeId;
            return this;
        }

        public CreateOfflineKeyAnalysisRequestBody withBackupId(String backupId) {
            this.backupId = backupId;
            return this;
        }
    }

    static final class ListOfflineKeyAnalysisTaskRequest
            extends InstanceRequest<ListOfflineKeyAnalysisTaskRequest> {
        private Integer limit;

        public Integer getLimit() {
            return limit;
        }

        public ListOfflineKeyAnalysisTaskRequest withLimit(Integer limit) {
            this.limit = limit;
            return this;
        }
    }

    static final class ShowOfflineKeyAnalysisTaskRequest
            extends TaskRequest<ShowOfflineKeyAnalysisTaskRequest> {}

    static final class DeleteOfflineKeyAnalysisTaskRequest
            extends TaskRequest<DeleteOfflineKeyAnalysisTaskRequest> {}

    abstract static class TaskResponse extends SdkResponse {
        @JsonProperty("task_id") private String taskId;

        public String getTaskId() {
            return taskId;
        }
    }

    static final class CreateOfflineKeyAnalysisResponse extends TaskResponse {}

    static final class DeleteOfflineKeyAnalysisTaskResponse extends TaskResponse {}

    static final class ListOfflineKeyAnalysisTaskResponse extends SdkResponse {
        @JsonProperty("instance_id") private String instanceId;
        @JsonProperty("total") private Integer total;
        @JsonProperty("records") private List<OfflineKeyAnalysisRecord> records;

        public Integer getTotal() {
            return total;
        }

        public List<OfflineKeyAnalysisRecord> getRecords() {
            return records;
        }
    }

    static final class OfflineKeyAnalysisRecord {
        @JsonProperty("id") private String id;
        @JsonProperty("status") private String status;
        @JsonProperty("created_at") private String createdAt;
        @JsonProperty("started_at") private String startedAt;
        @JsonProperty("finished_at") private String finishedAt;

        public String getId() {
            return id;
        }

        public String getStatus() {
            return status;
        }
    }

    @JsonInclude(JsonInclude.Include.NON_NULL)
    static final class ShowOfflineKeyAnalysisTaskResponse extends SdkResponse {
        @JsonProperty("id") String id;
        @JsonProperty("instance_id") String instanceId;
        @JsonProperty("node_id") String nodeId;
        @JsonProperty("backup_id") String backupId;
        @JsonProperty("group_name") String groupName;
        @JsonProperty("node_ip") String nodeIp;
        @JsonProperty("node_ipv6") String nodeIpv6;
        @JsonProperty("node_type") String nodeType;
        @JsonProperty("analysis_type") String analysisType;
        @JsonProperty("started_at") String startedAt;
        @JsonProperty("finished_at") String finishedAt;
        @JsonProperty("largest_key_prefixes") List<LargestKeyPrefix> largestKeyPrefixes;
        @JsonProperty("largest_keys") List<LargestKey> largestKeys;
        @JsonProperty("total_bytes") Integer totalBytes;
        @JsonProperty("total_num") Integer totalNum;
        @JsonProperty("type_bytes") List<KeyTypeByte> typeBytes;
        @JsonProperty("type_num") List<KeyTypeNum> typeNum;
    }

    record LargestKeyPrefix(
        @JsonProperty("key_prefix") String keyPrefix, @JsonProperty("type") String type,
        @JsonProperty("bytes") Integer bytes, @JsonProperty("num") Integer num) {}

    record LargestKey(
        @JsonProperty("key") String key, @JsonProperty("type") String type,
        @JsonProperty("bytes") Integer bytes, @JsonProperty("num_of_elem") Integer numOfElem) {}

    record KeyTypeByte(
        @JsonProperty("type") String type, @JsonProperty("bytes") Integer bytes) {}

    record KeyTypeNum(@JsonProperty("type") String type, @JsonProperty("num") Integer num) {}
}
