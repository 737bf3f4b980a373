package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	dcs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model"
)

// live starts a service whose instance is a real server.
func live(t *testing.T) (*dcs.DcsClient, contract) {
	t.Helper()
	command := exec.Command("python3", "../live.py", offkey)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	check(t, err)
	stdout, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	t.Cleanup(func() {
		stdin.Close()
		check(t, command.Wait())
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	check(t, err)
	var made contract
	check(t, json.Unmarshal(line, &made))
	client, err := clientOf(made.Endpoint, made.AK, made.SK, made.ProjectID)
	check(t, err)
	return client, made
}

func TestOperationsBesidesTheAnalysis(t *testing.T) {
	client, made := live(t)
	before := backups(t, client, made.InstanceID)
	answers, err := look(client, made.InstanceID)
	check(t, err)
	equal(t, "instance", *(*answers[0].(*model.ListInstancesResponse).Instances)[0].InstanceId,
		made.InstanceID)
	equal(t, "name", *answers[1].(*model.ShowInstanceResponse).Name, "live")
	group := (*answers[2].(*model.ListGroupReplicationInfoResponse).GroupList)[0]
	equal(t, "node", *(*group.ReplicationList)[0].NodeId, made.Nodes[0].NodeID)
	equal(t, "nodes", *answers[3].(*model.ShowNodesInformationResponse).Total, int32(1))
	equal(t, "backups", *answers[4].(*model.ListBackupRecordsResponse).TotalNum, int32(len(before)))
	equal(t, "tasks", *answers[5].(*model.ListBackgroundTaskResponse).TaskCount, "0")

	path := filepath.Join(t.TempDir(), "backup.rdb")
	backupID, err := backUp(client, made.InstanceID, path)
	check(t, err)
	var found struct {
		TotalNum int `json:"total_num"`
	}
	check(t, json.Unmarshal(report(t, path), &found))
	equal(t, "keys", found.TotalNum, 1)
	for _, id := range before {
		if id == backupID {
			t.Errorf("no new backup: %s", id)
		}
	}
	equal(t, "backups", backups(t, client, made.InstanceID), before)
	_, err = client.DeleteBackupFile(&model.DeleteBackupFileRequest{
		InstanceId: made.InstanceID, BackupId: backupID})
	refused(t, err, 400, "DCS.4063")

	// Without a backup, one is taken.
	task, err := analyze(client, made.InstanceID, made.Nodes[0].NodeID, "")
	check(t, err)
	equal(t, "analysis type", task.AnalysisType.Value(), "new_backup")
	equal(t, "total_num", *task.TotalNum, int32(1))
}

func backups(t *testing.T, client *dcs.DcsClient, instanceID string) []string {
	t.Helper()
	listed, err := client.ListBackupRecords(&model.ListBackupRecordsRequest{InstanceId: instanceID})
	check(t, err)
	ids := []string{}
	for _, record := range *listed.BackupRecordResponse {
		ids = append(ids, *record.BackupId)
	}
	return ids
}
