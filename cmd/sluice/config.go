package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
)

// loadConfig reads a configuration, fills in defaults and makes the state directory.
func loadConfig(path string) (*configv1.Config, error) {
	c, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	return c, stateDir(c.GetStateDir())
}

// readConfig reads a configuration and fills in defaults.
func readConfig(path string) (*configv1.Config, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's own
	if err != nil {
		return nil, err
	}
	c := &configv1.Config{}
	if err := (protoyaml.UnmarshalOptions{Path: path}).Unmarshal(text, c); err != nil {
		return nil, err
	}
	if len(c.GetRoles()) == 0 {
		c.Roles = []configv1.Config_Role{configv1.Config_CONTROL, configv1.Config_PROCESS}
	}
	if err := protovalidate.Validate(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := fillConfig(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func has(c *configv1.Config, r configv1.Config_Role) bool { return slices.Contains(c.GetRoles(), r) }

// fillConfig sets defaults and finds what is missing for the roles.
func fillConfig(c *configv1.Config) error {
	var faults []error
	missing := func(field, why string) { faults = append(faults, fmt.Errorf("%s: needed %s", field, why)) }
	if has(c, configv1.Config_CONTROL) && c.GetControl() == nil {
		missing("control", "for the role CONTROL")
	}
	if has(c, configv1.Config_PROCESS) {
		if c.GetProcess() == nil {
			missing("process", "for the role PROCESS")
			return errors.Join(faults...)
		}
		fillProcess(c, missing)
	}
	if control := c.GetControl(); control != nil && control.GetPostgres() == nil {
		if control.Postgres = c.GetProcess().GetPostgres(); control.GetPostgres() == nil {
			missing("control.postgres", "where no processor runs in this process")
		}
	}
	if control := c.GetControl(); control != nil && control.GetHttp() == nil {
		control.Http = c.GetProcess().GetHttp()
	}
	if a := c.GetApi(); a != nil && a.GetTls() == nil {
		host, _, err := net.SplitHostPort(a.GetListen())
		if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			faults = append(faults, errors.New("api.tls: needed to listen on an address that is not loopback"))
		}
	}
	return errors.Join(faults...)
}

func fillProcess(c *configv1.Config, missing func(field, why string)) {
	p := c.GetProcess()
	if p.GetXds() == nil {
		if p.Xds = c.GetControl().GetXds(); p.GetXds() == nil {
			missing("process.xds", "where no control plane runs in this process")
		}
	}
	if p.GetEgressDir() == "" {
		p.EgressDir = c.GetControl().GetEgressDir()
	}
	if p.GetSecretsDir() == "" {
		p.SecretsDir = c.GetControl().GetPolicyDir()
	}
	if p.GetRecorder() == nil {
		p.Recorder = &configv1.Recorder{}
	}
	if p.GetRecorder().GetDir() == "" {
		p.Recorder.Dir = filepath.Join(c.GetStateDir(), "recordings")
	}
	for field, d := range map[**durationpb.Duration]time.Duration{
		&p.PolicyMaxAge: 15 * time.Minute, &p.StartupTimeout: 10 * time.Second, &p.DrainTimeout: 20 * time.Second,
	} {
		if *field == nil {
			*field = durationpb.New(d)
		}
	}
}

// stateDir makes the directory of keys, or checks that nobody else can look into it.
func stateDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("state_dir: %s has mode %#o; it holds keys and must be 0700", path, mode)
	}
	return nil
}

// makeSocketDir makes the directory of a unix socket, if it is not there.
func makeSocketDir(s *configv1.Socket) error {
	path := s.GetUnix()
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if strings.HasPrefix(info.Mode().String(), "d") && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%s can be written to by others: they could put a socket of their own in place", dir)
	}
	return nil
}
