package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
)

// Sources resolves the data sources of a policy in this process. The zero value reads the process's own environment
// and files.
type Sources struct {
	// BaseDir is what relative paths start from: the policy directory.
	BaseDir string
	// ReadFile reads a file. Default os.ReadFile.
	ReadFile func(path string) ([]byte, error)
	// LookupEnv reads a variable. Default os.LookupEnv.
	LookupEnv func(name string) (string, bool)
}

// Resolve is the content of a source; nil for no source. The error names the source, never its content.
func (s Sources) Resolve(src *policyv1.DataSource) ([]byte, error) {
	switch src := src.GetSource().(type) {
	case nil:
		return nil, nil
	case *policyv1.DataSource_Env:
		lookup := s.LookupEnv
		if lookup == nil {
			lookup = os.LookupEnv
		}
		v, ok := lookup(src.Env)
		if !ok || v == "" {
			return nil, fmt.Errorf("environment variable %s is not set", src.Env)
		}
		return []byte(v), nil
	case *policyv1.DataSource_File:
		read := s.ReadFile
		if read == nil {
			read = os.ReadFile
		}
		path := src.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.BaseDir, path)
		}
		data, err := read(path)
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("%s is empty", path)
		}
		return data, nil
	default:
		return nil, fmt.Errorf("a source of type %T is not known", src)
	}
}

// transport is the default way to an issuer.
func transport(_ *policyv1.Issuer, ca []byte) (http.RoundTripper, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("ca: no PEM certificate in it")
		}
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		// Two requests in five minutes: a connection kept open between them is a resource for nothing.
		DisableKeepAlives: true,
		ForceAttemptHTTP2: true,
	}, nil
}
