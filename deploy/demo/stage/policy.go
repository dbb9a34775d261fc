package stage

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed sample.sql policy/*.yaml
var files embed.FS

// values fill in the policy's templates.
type values struct {
	Issuer                      string
	ListenPort, DatabasePort    int
	WidePort                    int
	DatabaseCA, Via, ListenAddr string
	Plaintext                   bool

	HTTPPort, ServicePort           int
	HTTPCA, GatewayCert, GatewayKey string
}

// writePolicy writes the demo's policy, unless somebody has put files of their own there.
func writePolicy(dir string, v values) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := files.ReadDir("policy")
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := files.ReadFile("policy/" + e.Name())
		if err != nil {
			return err
		}
		t, err := template.New(e.Name()).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, v); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
