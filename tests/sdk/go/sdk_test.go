// Drives `offkey demo --json` with the official Go SDK, unmodified. Run by scripts/sdk-go, which
// builds offkey and installs Go:
//
//	go test . -args path/to/offkey
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	dcs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/dcs/v2/model"
)

const sample = "../../../testdata/demo.rdb"

// contract is what the demo says of itself.
type contract struct {
	Endpoint   string `json:"endpoint"`
	ProjectID  string `json:"project_id"`
	AK         string `json:"ak"`
	SK         string `json:"sk"`
	InstanceID string `json:"instance_id"`
	Nodes      []struct {
		NodeID  string   `json:"node_id"`
		Backups []string `json:"backups"`
	} `json:"nodes"`
}

var (
	offkey string
	demo   contract
	large  string // a backup of more bytes than an int32 counts
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		offkey = flag.Arg(0)
		folder, err := os.MkdirTemp("", "offkey")
		must(err)
		defer os.RemoveAll(folder)
		large = filepath.Join(folder, "large.rdb")
		must(os.WriteFile(large, largeList(), 0o600))
		command := exec.Command(offkey, "demo", "--json", "--port", "0", "--data-dir", folder,
			"--backup", sample, "--backup", large)
		stdout, err := command.StdoutPipe()
		must(err)
		must(command.Start())
		defer command.Wait()
		defer command.Process.Signal(os.Interrupt)
		line, err := bufio.NewReader(stdout).ReadBytes('\n')
		must(err)
		must(json.Unmarshal(line, &demo))
		return m.Run()
	}())
}

func TestListingsLeadToABackup(t *testing.T) {
	client := connected(t)
	limit := int32(10)
	instances, err := client.ListInstances(&model.ListInstancesRequest{Limit: &limit})
	check(t, err)
	equal(t, "instances", *instances.InstanceNum, int32(1))
	equal(t, "instance", *(*instances.Instances)[0].InstanceId, demo.InstanceID)
	equal(t, "status", *(*instances.Instances)[0].Status, "RUNNING")

	groups, err := client.ListGroupReplicationInfo(
		&model.ListGroupReplicationInfoRequest{InstanceId: demo.InstanceID})
	check(t, err)
	equal(t, "groups", *groups.GroupCount, int32(1))
	replication := (*(*groups.GroupList)[0].ReplicationList)[0]
	equal(t, "node", *replication.NodeId, demo.Nodes[0].NodeID)
	equal(t, "role", *replication.ReplicationRole, "master")

	nodes, err := client.ShowNodesInformation(
		&model.ShowNodesInformationRequest{InstanceId: demo.InstanceID})
	check(t, err)
	equal(t, "nodes", *nodes.Total, int32(1))
	equal(t, "node", *(*nodes.Nodes)[0].NodeId, demo.Nodes[0].NodeID)
	equal(t, "type", (*nodes.Nodes)[0].NodeType.Value(), "master")

	backups, err := client.ListBackupRecords(
		&model.ListBackupRecordsRequest{InstanceId: demo.InstanceID})
	check(t, err)
	equal(t, "backups", *backups.TotalNum, int32(2))
	sizes := map[string]int64{}
	for _, record := range *backups.BackupRecordResponse {
		equal(t, "status", record.Status.Value(), "succeed")
		sizes[*record.BackupId] = *record.Size
	}
	expected := map[string]int64{}
	for number, file := range []string{sample, large} {
		info, err := os.Stat(file)
		check(t, err)
		expected[demo.Nodes[0].Backups[number]] = info.Size()
	}
	equal(t, "sizes", sizes, expected)
}

func TestAnalysisFromCreateToDelete(t *testing.T) {
	client := connected(t)
	task, err := analyze(client, demo.InstanceID, demo.Nodes[0].NodeID, demo.Nodes[0].Backups[0])
	check(t, err)
	equal(t, "instance", *task.InstanceId, demo.InstanceID)
	equal(t, "node", *task.NodeId, demo.Nodes[0].NodeID)
	equal(t, "backup", *task.BackupId, demo.Nodes[0].Backups[0])
	equal(t, "node type", *task.NodeType, "master")
	equal(t, "analysis type", task.AnalysisType.Value(), "old_backup")
	if *task.StartedAt > *task.FinishedAt {
		t.Errorf("started %s, finished %s", *task.StartedAt, *task.FinishedAt)
	}
	sameReport(t, task)

	// It is gone: not listed, not shown, not deleted twice.
	listed, err := client.ListOfflineKeyAnalysisTask(
		&model.ListOfflineKeyAnalysisTaskRequest{InstanceId: demo.InstanceID})
	check(t, err)
	for _, record := range *listed.Records {
		if *record.Id == *task.Id {
			t.Errorf("still listed: %s", *task.Id)
		}
	}
	_, err = client.ShowOfflineKeyAnalysisTask(&model.ShowOfflineKeyAnalysisTaskRequest{
		InstanceId: demo.InstanceID, TaskId: *task.Id})
	refused(t, err, 400, "DCS.4232")
	_, err = client.DeleteOfflineKeyAnalysisTask(&model.DeleteOfflineKeyAnalysisTaskRequest{
		InstanceId: demo.InstanceID, TaskId: *task.Id})
	refused(t, err, 400, "DCS.4232")
}

func TestProgramTakesNodeAndBackup(t *testing.T) {
	node, backup := "-NodeId="+demo.Nodes[0].NodeID, "-BackupId="+demo.Nodes[0].Backups[0]
	for _, arguments := range [][]string{{node, backup}, {backup}} {
		output, problem := program(t, append(arguments, address()...)...)
		equal(t, "problem", problem, "")
		var task model.ShowOfflineKeyAnalysisTaskResponse
		check(t, json.Unmarshal(output, &task))
		sameReport(t, &task)
	}
	for code, arguments := range map[string][]string{
		"DCS.3053": {"-NodeId=nobody", backup},
		"DCS.4026": {node},
	} {
		_, problem := program(t, append(arguments, address()...)...)
		if !strings.Contains(problem, code) {
			t.Errorf("want %s, got %s", code, problem)
		}
	}
}

func TestTotalsAboveInt32Saturate(t *testing.T) {
	task, err := analyze(
		connected(t), demo.InstanceID, demo.Nodes[0].NodeID, demo.Nodes[0].Backups[1])
	check(t, err)
	var exact struct {
		TotalBytes int64 `json:"total_bytes"`
	}
	check(t, json.Unmarshal(report(t, large), &exact))
	if exact.TotalBytes <= math.MaxInt32 {
		t.Fatalf("not above an int32: %d", exact.TotalBytes)
	}
	equal(t, "total_bytes", *task.TotalBytes, int32(math.MaxInt32))
	equal(t, "total_num", *task.TotalNum, int32(1))
	equal(t, "key", *(*task.LargestKeys)[0].Bytes, int32(math.MaxInt32))
	equal(t, "prefix", *(*task.LargestKeyPrefixes)[0].Bytes, int32(math.MaxInt32))
	for _, item := range *task.TypeBytes {
		expected := map[string]int32{"list": math.MaxInt32}[item.Type.Value()]
		equal(t, item.Type.Value(), *item.Bytes, expected)
	}
}

func TestRefusalsHaveTheirCodes(t *testing.T) {
	client := connected(t)
	_, err := analyze(client, demo.InstanceID, "nobody", demo.Nodes[0].Backups[0])
	refused(t, err, 400, "DCS.3053")
	unknown := "99999999-cebf-4473-95c4-d1b573c16e79"
	_, err = analyze(client, unknown, demo.Nodes[0].NodeID, demo.Nodes[0].Backups[0])
	refused(t, err, 404, "DCS.3022")
	stranger, err := clientOf(demo.Endpoint, demo.AK, demo.SK+"x", demo.ProjectID)
	check(t, err)
	_, err = stranger.ListInstances(&model.ListInstancesRequest{})
	refused(t, err, 401, "APIGW.0301")
}

func TestRegionLeadsToEndpointAndProject(t *testing.T) {
	output, problem := program(t, "-Region=demo", "-IamEndpoint="+demo.Endpoint,
		"-BackupId="+demo.Nodes[0].Backups[0])
	equal(t, "problem", problem, "")
	var task model.ShowOfflineKeyAnalysisTaskResponse
	check(t, json.Unmarshal(output, &task))
	sameReport(t, &task)
}

// largeList answers a file with a list of 2.5 GiB, as LZF packs it: of each element one letter, and
// then that it comes again 264 times, and again.
func largeList() []byte {
	const repeats, elements = 254_200, 40
	packed := append([]byte{0, 'a'}, bytes.Repeat([]byte{0xe0, 0xff, 0}, repeats)...)
	element := []byte{0xc3}
	for _, length := range []int{len(packed), 1 + 264*repeats} {
		element = append(element, 0x80,
			byte(length>>24), byte(length>>16), byte(length>>8), byte(length))
	}
	element = append(element, packed...)
	file := []byte("REDIS0009\xfe\x00\x01\x08big:list")
	file = append(file, elements)
	file = append(file, bytes.Repeat(element, elements)...)
	return append(file, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)
}

// program runs main.go, and answers what it prints and what it complains of.
func program(t *testing.T, arguments ...string) ([]byte, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if output, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	command := exec.Command(path, append(arguments, "-InstanceId="+demo.InstanceID)...)
	command.Env = append(os.Environ(), "HUAWEICLOUD_SDK_AK="+demo.AK, "HUAWEICLOUD_SDK_SK="+demo.SK,
		"HUAWEICLOUD_SDK_REGION_DCS_DEMO="+demo.Endpoint)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if (err != nil) != (stderr.Len() > 0) {
		t.Errorf("ended with %v, but says %q", err, stderr.String())
	}
	return stdout.Bytes(), stderr.String()
}

// address answers the program's flags for the demo.
func address() []string {
	return []string{"-Endpoint=" + demo.Endpoint, "-ProjectId=" + demo.ProjectID}
}

// report answers what the command line says of a file.
func report(t *testing.T, file string) []byte {
	t.Helper()
	output, err := exec.Command(offkey, "analyze", "--format", "json", file).Output()
	check(t, err)
	return output
}

// sameReport compares a task with what the command line says of the sample, member by member.
func sameReport(t *testing.T, task *model.ShowOfflineKeyAnalysisTaskResponse) {
	t.Helper()
	// The names of the members are the same, so that it can be read as if it were a task.
	var expected model.ShowOfflineKeyAnalysisTaskResponse
	check(t, json.Unmarshal(report(t, sample), &expected))
	if *expected.TotalNum < 1000 || len(*expected.LargestKeys) != 100 ||
		len(*expected.LargestKeyPrefixes) == 0 {
		t.Fatalf("not much of a sample: %v", expected)
	}
	equal(t, "total_num", task.TotalNum, expected.TotalNum)
	equal(t, "total_bytes", task.TotalBytes, expected.TotalBytes)
	equal(t, "type_num", task.TypeNum, expected.TypeNum)
	equal(t, "type_bytes", task.TypeBytes, expected.TypeBytes)
	equal(t, "largest_keys", task.LargestKeys, expected.LargestKeys)
	equal(t, "largest_key_prefixes", task.LargestKeyPrefixes, expected.LargestKeyPrefixes)
}

func connected(t *testing.T) *dcs.DcsClient {
	t.Helper()
	client, err := clientOf(demo.Endpoint, demo.AK, demo.SK, demo.ProjectID)
	check(t, err)
	return client
}

func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refusal *sdkerr.ServiceResponseError
	if !errors.As(err, &refusal) {
		t.Fatalf("want %d %s, got %v", status, code, err)
	}
	equal(t, "status", refusal.StatusCode, status)
	equal(t, "code", refusal.ErrorCode, code)
	if refusal.ErrorMessage == "" || len(refusal.RequestId) != 32 {
		t.Errorf("no text or request id: %v", refusal)
	}
}

func equal(t *testing.T, what string, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Errorf("%s: want %v, got %v", what, expected, found)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
