// Command sdk analyses a backup through the API with Huawei Cloud's Go SDK as it is, and prints the
// task with its report as one line of JSON:
//
//	export HUAWEICLOUD_SDK_AK=... HUAWEICLOUD_SDK_SK=...
//	go run . -Endpoint=http://127.0.0.1:8080 -ProjectId=... -InstanceId=... \
//	    [-NodeId=...] [-BackupId=...]
//
// Without a node it takes the instance's first one, without a backup it asks for a new one. With
// -Region and -IamEndpoint in place of endpoint and project, the SDK finds both: the endpoint in
// HUAWEICLOUD_SDK_REGION_DCS_<REGION>, the project by asking for that name.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	dcs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model"
	dcsregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/region"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	endpoint := flag.String("Endpoint", "", "`URL` of the service")
	region := flag.String("Region", "", "`name` of the region")
	iamEndpoint := flag.String("IamEndpoint", "", "`URL` to ask for the region's project")
	projectID := flag.String("ProjectId", "", "`id` of the project")
	instanceID := flag.String("InstanceId", "", "`id` of the instance")
	nodeID := flag.String("NodeId", "", "`id` of the node [default: the first one]")
	backupID := flag.String("BackupId", "", "`id` of the backup [default: a new one]")
	flag.Parse()

	ak, sk := os.Getenv("HUAWEICLOUD_SDK_AK"), os.Getenv("HUAWEICLOUD_SDK_SK")
	connect := func() (*dcs.DcsClient, error) { return clientOf(*endpoint, ak, sk, *projectID) }
	if *region != "" {
		connect = func() (*dcs.DcsClient, error) { return clientOfRegion(*region, *iamEndpoint, ak, sk) }
	}
	client, err := connect()
	if err != nil {
		return err
	}
	if *nodeID == "" {
		if *nodeID, err = firstNode(client, *instanceID); err != nil {
			return err
		}
	}
	task, err := analyze(client, *instanceID, *nodeID, *backupID)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(task)
}

func clientOf(endpoint, ak, sk, projectID string) (*dcs.DcsClient, error) {
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(ak).WithSk(sk).WithProjectId(projectID).SafeBuild()
	if err != nil {
		return nil, err
	}
	builder := dcs.DcsClientBuilder().WithEndpoints([]string{endpoint})
	client, err := builder.WithCredential(credentials).SafeBuild()
	if err != nil {
		return nil, err
	}
	return dcs.NewDcsClient(client), nil
}

func clientOfRegion(name, iamEndpoint, ak, sk string) (*dcs.DcsClient, error) {
	region, err := dcsregion.SafeValueOf(name)
	if err != nil {
		return nil, err
	}
	// HUAWEICLOUD_SDK_IAM_ENDPOINT would do too, but not for plain HTTP: this SDK makes it HTTPS.
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(ak).WithSk(sk).WithIamEndpointOverride(iamEndpoint).SafeBuild()
	if err != nil {
		return nil, err
	}
	client, err := dcs.DcsClientBuilder().WithRegion(region).WithCredential(credentials).SafeBuild()
	if err != nil {
		return nil, err
	}
	return dcs.NewDcsClient(client), nil
}

// firstNode answers the first node of the instance's first group.
func firstNode(client *dcs.DcsClient, instanceID string) (string, error) {
	groups, err := client.ListGroupReplicationInfo(
		&model.ListGroupReplicationInfoRequest{InstanceId: instanceID})
	if err != nil {
		return "", err
	}
	for _, group := range *groups.GroupList {
		for _, node := range *group.ReplicationList {
			return *node.NodeId, nil
		}
	}
	return "", fmt.Errorf("the instance has no node: %s", instanceID)
}

// analyze runs one analysis to its end, and answers the task, which it deletes.
func analyze(client *dcs.DcsClient, instanceID, nodeID, backupID string) (
	*model.ShowOfflineKeyAnalysisTaskResponse, error) {
	body := &model.CreateOfflineKeyAnalysisRequestBody{NodeId: nodeID}
	if backupID != "" {
		body.BackupId = &backupID
	}
	created, err := client.CreateOfflineKeyAnalysis(
		&model.CreateOfflineKeyAnalysisRequest{InstanceId: instanceID, Body: body})
	if err != nil {
		return nil, err
	}
	for status := ""; status != "success"; time.Sleep(time.Second) {
		if status == "failed" {
			return nil, fmt.Errorf("the analysis has failed: task %s", *created.TaskId)
		}
		listed, err := client.ListOfflineKeyAnalysisTask(
			&model.ListOfflineKeyAnalysisTaskRequest{InstanceId: instanceID})
		if err != nil {
			return nil, err
		}
		for _, record := range *listed.Records {
			if *record.Id == *created.TaskId {
				status = record.Status.Value()
			}
		}
	}
	task, err := client.ShowOfflineKeyAnalysisTask(&model.ShowOfflineKeyAnalysisTaskRequest{
		InstanceId: instanceID, TaskId: *created.TaskId})
	if err != nil {
		return nil, err
	}
	_, err = client.DeleteOfflineKeyAnalysisTask(&model.DeleteOfflineKeyAnalysisTaskRequest{
		InstanceId: instanceID, TaskId: *created.TaskId})
	return task, err
}
