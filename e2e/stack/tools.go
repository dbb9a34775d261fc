package stack

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluicegate/sluice/envoy"
)

// MissingToolError says that `make tools` has not installed a tool in this clone.
type MissingToolError struct {
	// Name is what deploy/tools/install calls it.
	Name string
	// Reason is where it was looked for.
	Reason string
}

// Error implements error; it says how to get the tool.
func (e *MissingToolError) Error() string {
	return fmt.Sprintf("%s is not installed (%s): run deploy/tools/install %s", e.Name, e.Reason, e.Name)
}

// toolFile is the file below .tools/ that stands for a tool.
func toolFile(name string) string {
	switch name {
	case "postgresql":
		return "postgresql/bin/postgres"
	case "valkey":
		return "bin/valkey-server"
	case "python":
		return "python/bin/python"
	case "peers":
		return "peers/bin/python"
	default:
		return "bin/" + name
	}
}

// Tool is the path of a tool's program, by the name that deploy/tools/install gives it; for
// postgresql it is the server, with the clients beside it. The error is a *MissingToolError.
func Tool(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", &MissingToolError{Name: name, Reason: err.Error()}
	}
	path := filepath.Join(root, ".tools", filepath.FromSlash(toolFile(name)))
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		return "", &MissingToolError{Name: name, Reason: "no program at " + path}
	}
	return path, nil
}

// PostgresTool is the path of a program that comes with PostgreSQL, such as psql or pgbench. The
// error is a *MissingToolError.
func PostgresTool(program string) (string, error) {
	server, err := Tool("postgresql")
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(server), program), nil
}

// Root is the clone around the working directory. The error says that there is none.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	root, ok := envoy.Checkout(dir)
	if !ok {
		return "", fmt.Errorf("%s is in no clone of this repository", dir)
	}
	return root, nil
}
