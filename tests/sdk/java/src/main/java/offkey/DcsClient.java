package offkey;

import com.huaweicloud.sdk.core.ClientBuilder;
import com.huaweicloud.sdk.core.HcClient;
import com.huaweicloud.sdk.core.http.FieldExistence;
import com.huaweicloud.sdk.core.http.HttpMethod;
import com.huaweicloud.sdk.core.http.HttpRequestDef;
import com.huaweicloud.sdk.core.http.LocationType;
import offkey.OfflineKeyAnalysis.CreateOfflineKeyAnalysisRequest;
import offkey.OfflineKeyAnalysis.CreateOfflineKeyAnalysisRequestBody;
import offkey.OfflineKeyAnalysis.CreateOfflineKeyAnalysisResponse;
import offkey.OfflineKeyAnalysis.DeleteOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.DeleteOfflineKeyAnalysisTaskResponse;
import offkey.OfflineKeyAnalysis.InstanceRequest;
import offkey.OfflineKeyAnalysis.ListOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ListOfflineKeyAnalysisTaskResponse;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskRequest;
import offkey.OfflineKeyAnalysis.ShowOfflineKeyAnalysisTaskResponse;
import offkey.OfflineKeyAnalysis.TaskRequest;

/**
 * The SDK's client with the four operations that its newest version on Maven Central, 3.1.130, does
 * not have yet. They are described to the SDK in the way its own are, so that signing, sending,
 * decoding and errors are the SDK's; a version that has them replaces this class and
 * {@link OfflineKeyAnalysis}.
 */
public final class DcsClient extends com.huaweicloud.sdk.dcs.v2.DcsClient {
    private static final String TASKS =
        "/v2/{project_id}/instances/{instance_id}/offline/key-analysis";

    private static final HttpRequestDef<
            CreateOfflineKeyAnalysisRequest, CreateOfflineKeyAnalysisResponse> CREATE =
        ofInstance(HttpMethod.POST, "CreateOfflineKeyAnalysis", TASKS,
            CreateOfflineKeyAnalysisRequest.class, CreateOfflineKeyAnalysisResponse.class)
        .withContentType("application/json;charset=UTF-8")
        .withRequestField("body", LocationType.Body, FieldExistence.NON_NULL_NON_EMPTY,
            CreateOfflineKeyAnalysisRequestBody.class, field -> field.withMarshaller(
                CreateOfflineKeyAnalysisRequest::getBody,
                CreateOfflineKeyAnalysisRequest::withBody))
        .build();

    private static final HttpRequestDef<
            ListOfflineKeyAnalysisTaskRequest, ListOfflineKeyAnalysisTaskResponse> LIST =
        ofInstance(HttpMethod.GET, "ListOfflineKeyAnalysisTask", TASKS,
            ListOfflineKeyAnalysisTaskRequest.class, ListOfflineKeyAnalysisTaskResponse.class)
        .withRequestField("limit", LocationType.Query, FieldExistence.NULL_IGNORE, Integer.class,
            field -> field.withMarshaller(ListOfflineKeyAnalysisTaskRequest::getLimit,
                ListOfflineKeyAnalysisTaskRequest::withLimit))
        .build();

    private static final HttpRequestDef<
            ShowOfflineKeyAnalysisTaskRequest, ShowOfflineKeyAnalysisTaskResponse> SHOW =
        ofTask(HttpMethod.GET, "ShowOfflineKeyAnalysisTask",
            ShowOfflineKeyAnalysisTaskRequest.class, ShowOfflineKeyAnalysisTaskResponse.class);

    private static final HttpRequestDef<
            DeleteOfflineKeyAnalysisTaskRequest, DeleteOfflineKeyAnalysisTaskResponse> DELETE =
        ofTask(HttpMethod.DELETE, "DeleteOfflineKeyAnalysisTask",
            DeleteOfflineKeyAnalysisTaskRequest.class, DeleteOfflineKeyAnalysisTaskResponse.class);

    private DcsClient(HcClient client) {
        super(client);
    }

    public static ClientBuilder<DcsClient> builder() {
        return new ClientBuilder<>(DcsClient::new);
    }

    public CreateOfflineKeyAnalysisResponse createOfflineKeyAnalysis(
            CreateOfflineKeyAnalysisRequest request) {
        return hcClient.syncInvokeHttp(request, CREATE);
    }

    public ListOfflineKeyAnalysisTaskResponse listOfflineKeyAnalysisTask(
            ListOfflineKeyAnalysisTaskRequest request) {
        return hcClient.syncInvokeHttp(request, LIST);
    }

    public ShowOfflineKeyAnalysisTaskResponse showOfflineKeyAnalysisTask(
            ShowOfflineKeyAnalysisTaskRequest request) {
        return hcClient.syncInvokeHttp(request, SHOW);
    }

    public DeleteOfflineKeyAnalysisTaskResponse deleteOfflineKeyAnalysisTask(
            DeleteOfflineKeyAnalysisTaskRequest request) {
        return hcClient.syncInvokeHttp(request, DELETE);
    }

    private static <R extends InstanceRequest<R>, S> HttpRequestDef.Builder<R, S> ofInstance(
            HttpMethod method, String name, String path, Class<R> request, Class<S> response) {
        return HttpRequestDef.builder(method, request, response)
            .withName(name).withUri(path).withContentType("application/json")
            .withRequestField("instance_id", LocationType.Path, FieldExistence.NON_NULL_NON_EMPTY,
                String.class, field -> field.withMarshaller(
                    InstanceRequest::getInstanceId, InstanceRequest::withInstanceId));
    }

    private static <R extends TaskRequest<R>, S> HttpRequestDef<R, S> ofTask(
            HttpMethod method, String name, Class<R> request, Class<S> response) {
        return ofInstance(method, name, TASKS + "/{task_id}", request, response)
            .withRequestField("task_id", LocationType.Path, FieldExistence.NON_NULL_NON_EMPTY,
                String.class, field -> field.withMarshaller(
                    TaskRequest::getTaskId, TaskRequest::withTaskId))
            .build();
    }
}
