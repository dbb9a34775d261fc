package resources

import (
	"errors"
	"io/fs"
	"os"
)

// rootFiles are where systems keep their authorities in one PEM file, as crypto/x509 looks for them on Linux, macOS
// and the BSDs.
func rootFiles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/ssl/cert.pem",
	}
}

// SystemRoots are the authorities that this system trusts, in PEM: the file that the environment variable
// SSL_CERT_FILE names, or the first that there is of those that systems have. It is for Options.Roots.
func SystemRoots() ([]byte, error) {
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		return os.ReadFile(name) //nolint:gosec // whoever starts this process names it
	}
	for _, name := range rootFiles() {
		data, err := os.ReadFile(name) //nolint:gosec // of the list above
		if !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
	}
	return nil, errors.New("this system has no file of authorities: set SSL_CERT_FILE")
}
