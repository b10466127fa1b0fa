package app

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/go-yaml"
)

// deploy is where the files are by which the program is run elsewhere.
const deploy = "../../deploy"

// foreign are variables in those files that are not ours: of Go itself and of
// PostgreSQL's image.
var foreign = []string{"GOMEMLIMIT", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}

// known lists every setting that the program reads.
func known(t *testing.T) []string {
	t.Helper()
	config, err := Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(config.Shown))
	for i, s := range config.Shown {
		names[i] = s.Name
	}
	return names
}

// A setting that was renamed must not live on in a file that people copy.
func TestDeployFilesNameSettingsThatExist(t *testing.T) {
	t.Parallel()
	settings := known(t)
	seen := map[string]bool{}
	check := func(file, name string) {
		seen[file] = true
		if name = strings.TrimSuffix(name, "_FILE"); !slices.Contains(settings, name) && !slices.Contains(foreign, name) && !slices.Contains(foreign, name+"_FILE") {
			t.Errorf("%s: there is no setting %s", file, name)
		}
	}
	for file, text := range deployFiles(t) {
		switch {
		case strings.HasSuffix(file, ".yaml"):
			for _, doc := range parseYAML(t, file, text) {
				for _, name := range variables(doc) {
					check(file, name)
				}
			}
		default:
			for _, found := range plainVariable.FindAllSubmatch(text, -1) {
				check(file, string(found[1]))
			}
		}
	}
	for _, file := range []string{
		"compose.yaml", "dfm.env.example", "docker/Dockerfile", "systemd/dfm.service", "kubernetes/base/kustomization.yaml",
		"kubernetes/base/web.yaml", "kubernetes/example/kustomization.yaml", "kubernetes/example/external-secret.yaml", "kubernetes/migrate-job/job.yaml",
	} {
		if !seen[file] {
			t.Errorf("no variable was found in %s: the test has become blind", file)
		}
	}
}

// plainVariable is NAME=value at the beginning of a line of an environment file,
// after Environment= of a unit, or after ENV of a Dockerfile.
var plainVariable = regexp.MustCompile(`(?m)^(?:#? *Environment=|ENV )?([A-Z][A-Z0-9_]{3,})=`)

// deployFiles reads all files below deploy, by their slash-separated names.
func deployFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(deploy), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || strings.Contains(name, "secrets.d") {
			return err
		}
		files[name], err = os.ReadFile(filepath.Join(deploy, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parseYAML(t *testing.T, file string, text []byte) []map[string]any {
	t.Helper()
	var docs []map[string]any
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc map[string]any
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		docs = append(docs, doc)
	}
}

// variables collects the names of environment variables in a document: of a
// container's env, of compose's environment, of a config map's literals and of
// the keys of a Secret.
func variables(node any) []string {
	var names []string
	switch n := node.(type) {
	case map[string]any:
		for key, value := range n {
			switch key {
			case "environment", "x-settings":
				names = append(names, slices.Collect(maps.Keys(asMap(value)))...)
				continue
			case "env":
				for _, entry := range asList(value) {
					names = append(names, fmt.Sprint(asMap(entry)["name"]))
				}
			case "literals":
				for _, entry := range asList(value) {
					name, _, _ := strings.Cut(fmt.Sprint(entry), "=")
					names = append(names, name)
				}
			case "secretKey":
				names = append(names, fmt.Sprint(value))
			}
			names = append(names, variables(value)...)
		}
	case []any:
		for _, entry := range n {
			names = append(names, variables(entry)...)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "<<" })
}

func asMap(node any) map[string]any { m, _ := node.(map[string]any); return m }

func asList(node any) []any { l, _ := node.([]any); return l }

// at walks down a document: names for maps, numbers for lists.
func at(node any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			node = asMap(node)[s]
		case int:
			list := asList(node)
			if s >= len(list) {
				return nil
			}
			node = list[s]
		}
	}
	return node
}

// What Kubernetes is told fits what the program does: paths and ports of the
// probes exist, a pod is given the time that a stop takes, and an upgrade takes
// nobody away before somebody else is ready.
func TestKubernetesDeploymentsFitTheProgram(t *testing.T) {
	t.Parallel()
	drain := 10 * time.Second // DFM_DRAIN of the base, checked below
	if text := deployFiles(t)["kubernetes/base/kustomization.yaml"]; !bytes.Contains(text, []byte("DFM_DRAIN="+"10s\n")) {
		t.Error("the base no longer says DFM_DRAIN=10s")
	}
	roles := map[string]bool{}
	for _, part := range []string{"gateway", "web", "worker"} {
		file := "kubernetes/base/" + part + ".yaml"
		d := parseYAML(t, file, deployFiles(t)[file])[0]
		pod := at(d, "spec", "template", "spec")
		container := at(pod, "containers", 0)
		grace, _ := at(pod, "terminationGracePeriodSeconds").(int)
		if least := StopTime + drain; time.Duration(grace)*time.Second <= least {
			t.Errorf("%s: %d s of grace, a stop takes up to %v", part, grace, least)
		}
		if got := at(d, "spec", "strategy", "rollingUpdate", "maxUnavailable"); got != 0 {
			t.Errorf("%s: maxUnavailable is %v", part, got)
		}
		port := map[string]int{"gateway": 3001, "web": 3002, "worker": 3002}[part]
		if got := at(container, "ports", 0, "containerPort"); got != port {
			t.Errorf("%s: listens on %v", part, got)
		}
		for probe, path := range map[string]string{"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"} {
			if at(container, probe, "httpGet", "path") != path || at(container, probe, "httpGet", "port") != at(container, "ports", 0, "name") {
				t.Errorf("%s: %s asks %v", part, probe, at(container, probe))
			}
		}
		for role := range strings.SplitSeq(fmt.Sprint(at(container, "env", 0, "value")), ",") {
			roles[role] = true
		}
		hardened(t, part, pod, container)
	}
	for _, role := range Roles() {
		if !roles[string(role)] {
			t.Errorf("nobody has the role %s", role)
		}
	}
	if len(roles) != len(Roles()) {
		t.Errorf("the Deployments have the roles %v", roles)
	}
}

// The overlay for Kubernetes builds, and in what it builds every image has the
// overlay's version.
func TestTheExampleForKubernetesBuilds(t *testing.T) {
	t.Parallel()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not on this machine")
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", filepath.Join(deploy, "kubernetes", "example")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	kinds, pods := map[string]int{}, 0
	for _, doc := range parseYAML(t, "the example", out) {
		kind := fmt.Sprint(doc["kind"])
		kinds[kind]++
		if pod := at(doc, "spec", "template", "spec"); pod != nil {
			pods++
			if image := at(pod, "containers", 0, "image"); image != "registry.example.com/dfm:0.1.0" {
				t.Errorf("%s has the image %v", kind, image)
			}
		}
		if migrates := at(doc, "data", "DFM_AUTO_MIGRATE"); kind == "ConfigMap" && migrates != "false" {
			t.Errorf("with the Job the pods still migrate: %v", migrates)
		}
	}
	if pods != 4 || kinds["Secret"] != 0 || kinds["Ingress"] != 1 || kinds["PodDisruptionBudget"] != 3 || kinds["NetworkPolicy"] != 3 {
		t.Errorf("%d kinds of pods in %v", pods, kinds)
	}
}

func hardened(t *testing.T, part string, pod, container any) {
	t.Helper()
	for _, must := range []struct {
		got  any
		want any
	}{
		{at(pod, "securityContext", "runAsNonRoot"), true}, {at(pod, "securityContext", "seccompProfile", "type"), "RuntimeDefault"},
		{at(container, "securityContext", "readOnlyRootFilesystem"), true},
		{at(container, "securityContext", "allowPrivilegeEscalation"), false},
		{at(container, "securityContext", "capabilities", "drop", 0), "ALL"},
		{at(pod, "automountServiceAccountToken"), false},
		{at(container, "resources", "limits", "memory") != nil, true},
	} {
		if must.got != must.want {
			t.Errorf("%s: %v where %v belongs", part, must.got, must.want)
		}
	}
}

// Compose's services stop in time, write nowhere else, and know every secret by
// a file.
func TestComposeFitsTheProgram(t *testing.T) {
	t.Parallel()
	compose := parseYAML(t, "compose.yaml", deployFiles(t)["compose.yaml"])[0]
	secrets := asMap(at(compose, "secrets"))
	for _, name := range []string{"dfm", "front", "worker"} {
		service := at(compose, "services", name)
		grace, err := time.ParseDuration(fmt.Sprint(at(service, "stop_grace_period")))
		if err != nil || grace <= StopTime {
			t.Errorf("%s: %v of grace, a stop takes up to %v", name, grace, StopTime)
		}
		if at(service, "read_only") != true || at(service, "cap_drop", 0) != "ALL" || at(service, "deploy", "resources", "limits", "memory") == nil {
			t.Errorf("%s is not confined: %v", name, service)
		}
		// Compose 2.24 and newer refuse a file that has both and differs.
		if at(service, "pids_limit") != nil || at(service, "deploy", "resources", "limits", "pids") == nil {
			t.Errorf("%s: the number of processes belongs to the limits of deploy, and nowhere else", name)
		}
		for setting, value := range asMap(at(service, "environment")) {
			if mounted, ok := strings.CutPrefix(fmt.Sprint(value), "/run/secrets/"); ok {
				if secrets[mounted] == nil || !slices.Contains(asList(at(service, "secrets")), any(mounted)) {
					t.Errorf("%s: %s names a secret that is not mounted: %s", name, setting, mounted)
				}
			}
		}
	}
	for _, name := range asList(at(compose, "services", "front", "ports")) {
		if !strings.HasPrefix(fmt.Sprint(name), "127.0.0.1:") {
			t.Errorf("%v is open to the world", name)
		}
	}
}

// deploy/secrets makes files with which the program starts, and changes none.
func TestTheSecretsThatAreMadeDo(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	folder := t.TempDir()
	make := func() map[string]string {
		if out, err := exec.CommandContext(t.Context(), "bash", filepath.Join(deploy, "secrets"), folder).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		made := map[string]string{}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			made[entry.Name()] = string(text)
		}
		return made
	}
	first := make()
	compose := parseYAML(t, "compose.yaml", deployFiles(t)["compose.yaml"])[0]
	if again := make(); !maps.Equal(first, again) || len(first) != len(asMap(at(compose, "secrets"))) {
		t.Errorf("%d secrets were made of %d, the same again: %v", len(first), len(asMap(at(compose, "secrets"))), maps.Equal(first, again))
	}
	config, err := Load(func(name string) (string, bool) {
		value, ok := asMap(at(compose, "x-settings"))[name].(string)
		return strings.Replace(value, "/run/secrets", folder, 1), ok
	})
	if err != nil || !config.AdminSecret.Set() || config.Encryption == nil || !strings.Contains(config.DatabaseURL, strings.TrimSpace(first["postgres_password"])) {
		t.Errorf("the program does not start with them: %v", err)
	}
}

// No file of ours holds a secret or follows a moving image.
func TestDeployFilesPinImagesAndHoldNoSecrets(t *testing.T) {
	t.Parallel()
	image := regexp.MustCompile(`(?m)^\s*(?:image:|FROM(?: --platform=\S+)?) +(\S+)`)
	literal := regexp.MustCompile(`([A-Z_]*(?:SECRET|TOKEN|PASS|API_KEY|ENCRYPTION_KEY|BEARER)[A-Z_]*)["']?\s*[=:]\s*["']?([^\s"'{}]+)`)
	images := 0
	for file, text := range deployFiles(t) {
		for _, found := range image.FindAllSubmatch(text, -1) {
			images++
			if name, tag, ok := strings.Cut(string(found[1]), ":"); !ok || tag == "latest" || tag == "" {
				t.Errorf("%s: %s has no version", file, name)
			}
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			found := literal.FindStringSubmatch(lines.Text())
			if found == nil || strings.HasPrefix(strings.TrimSpace(lines.Text()), "#") || file == "secrets" || strings.HasPrefix(file, "grafana") {
				continue
			}
			if value := found[2]; !strings.HasPrefix(value, "/run/secrets/") && !strings.HasPrefix(value, "%d/") && !strings.HasPrefix(value, "secrets.d/") {
				t.Errorf("%s holds a secret: %s", file, found[1])
			}
		}
	}
	if images < 6 {
		t.Errorf("only %d images were found: the test has become blind", images)
	}
}
