package source

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Bounds of a policy directory.
const (
	// MaxFile is the largest file, in bytes.
	MaxFile = 1 << 20
	// MaxFiles is the greatest number of files.
	MaxFiles = 1000
	// MaxTotal is how much all files may hold together, in bytes: the bundle goes to each processor in one message.
	MaxTotal = 8 << 20
)

// kubernetesData is the link that Kubernetes swaps when a mounted ConfigMap changes: all files go through it.
const kubernetesData = "..data"

// swapTries bounds how often a directory is read anew because its link was swapped in between.
const swapTries = 5

// file is one fragment as read.
type file struct {
	name string
	data []byte
}

// reading is the content of a directory at one moment.
type reading struct {
	files  []file
	faults []Fault
}

// digest identifies what was read, faults included.
func (r reading) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range r.files {
		// hash.Hash never returns an error.
		_, _ = fmt.Fprintf(h, "%q %d\n", f.name, len(f.data))
		_, _ = h.Write(f.data)
	}
	for _, f := range r.faults {
		_, _ = fmt.Fprintf(h, "%q\n", f.String())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// read gets all fragments, sorted by name. A directory whose ..data link changes meanwhile is read anew: half of it
// would be of another policy.
func read(dir string) reading {
	for range swapTries {
		before, _ := os.Readlink(filepath.Join(dir, kubernetesData))
		r := readOnce(dir)
		if after, _ := os.Readlink(filepath.Join(dir, kubernetesData)); after == before {
			return r
		}
	}
	return reading{faults: []Fault{{Message: "it changes faster than it can be read"}}}
}

func readOnce(dir string) reading {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return reading{faults: []Fault{{Message: reason(err)}}}
	}
	var r reading
	total := 0
	for _, e := range entries {
		name := e.Name()
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name)) // follows links, as Kubernetes needs it
		if err == nil && info.IsDir() {
			continue
		}
		if len(r.files)+len(r.faults) == MaxFiles {
			r.faults = append(r.faults, Fault{Message: fmt.Sprintf("more than %d files", MaxFiles)})
			break
		}
		data, err := readFile(filepath.Join(dir, name))
		if err != nil {
			r.faults = append(r.faults, Fault{File: name, Message: reason(err)})
			continue
		}
		if total += len(data); total > MaxTotal {
			r.faults = append(r.faults, Fault{Message: fmt.Sprintf("the files hold more than %d bytes together", MaxTotal)})
			break
		}
		r.files = append(r.files, file{name: name, data: data})
	}
	if len(r.files) == 0 && len(r.faults) == 0 {
		r.faults = append(r.faults, Fault{Message: "holds no *.yaml or *.yml file"})
	}
	return r
}

func readFile(path string) ([]byte, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("is larger than %d bytes", MaxFile)
	}
	return data, nil
}

// reason is the cause without the path, which a fault names already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
