package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	dcs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model"
)

// look answers the instances that there are, and then all about one of them.
func look(client *dcs.DcsClient, instanceID string) ([]any, error) {
	running, limit, begin := "RUNNING", int32(100), "20200101000000"
	instances, err := client.ListInstances(
		&model.ListInstancesRequest{Status: &running, Limit: &limit})
	if err != nil {
		return nil, err
	}
	instance, err := client.ShowInstance(&model.ShowInstanceRequest{InstanceId: instanceID})
	if err != nil {
		return nil, err
	}
	groups, err := client.ListGroupReplicationInfo(
		&model.ListGroupReplicationInfoRequest{InstanceId: instanceID})
	if err != nil {
		return nil, err
	}
	nodes, err := client.ShowNodesInformation(
		&model.ShowNodesInformationRequest{InstanceId: instanceID})
	if err != nil {
		return nil, err
	}
	backups, err := client.ListBackupRecords(
		&model.ListBackupRecordsRequest{InstanceId: instanceID, BeginTime: &begin})
	if err != nil {
		return nil, err
	}
	tasks, err := client.ListBackgroundTask(
		&model.ListBackgroundTaskRequest{InstanceId: instanceID, Limit: &limit})
	return []any{instances, instance, groups, nodes, backups, tasks}, err
}

// backUp takes a backup, saves its first file as path, and deletes the backup.
func backUp(client *dcs.DcsClient, instanceID, path string) (string, error) {
	remark, format := "by hand", model.GetBackupInstanceBodyBackupFormatEnum().RDB
	copied, err := client.CopyInstance(&model.CopyInstanceRequest{InstanceId: instanceID,
		Body: &model.BackupInstanceBody{Remark: &remark, BackupFormat: &format}})
	if err != nil {
		return "", err
	}
	for status := ""; status != "succeed"; time.Sleep(time.Second) {
		if status == "failed" {
			return "", fmt.Errorf("the backup has failed: %s", *copied.BackupId)
		}
		listed, err := client.ListBackupRecords(
			&model.ListBackupRecordsRequest{InstanceId: instanceID})
		if err != nil {
			return "", err
		}
		for _, record := range *listed.BackupRecordResponse {
			if *record.BackupId == *copied.BackupId {
				status = record.Status.Value()
			}
		}
	}
	linked, err := client.ListBackupFileLinks(&model.ListBackupFileLinksRequest{
		InstanceId: instanceID, BackupId: *copied.BackupId,
		Body: &model.DownloadBackupFilesReq{Expiration: 300}})
	if err != nil {
		return "", err
	}
	if err := save(*(*linked.Links)[0].Link, path); err != nil {
		return "", err
	}
	_, err = client.DeleteBackupFile(&model.DeleteBackupFileRequest{
		InstanceId: instanceID, BackupId: *copied.BackupId})
	return *copied.BackupId, err
}

// save stores what a link leads to.
func save(link, path string) error {
	answer, err := http.Get(link)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the link does not work: %s", answer.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, answer.Body); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
