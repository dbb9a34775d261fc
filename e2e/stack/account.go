package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// nobody is the account that PostgreSQL runs as where we are root, which it refuses.
const nobody = 65534

// account runs PostgreSQL's programs as somebody else than root.
type account struct {
	prefix []string // of each command
	bin    string   // the directory of the programs
	place  string   // where the cluster is, which the account can reach
	// owner is who must own data and keys, or -1 where it is ourselves.
	owner int
}

// newAccount finds out how, for a cluster that belongs in dir. As root, a user namespace maps us to
// nobody, and everything may stay where it is.
func newAccount(ctx context.Context, dir string) (account, error) {
	server, err := Tool("postgresql")
	if err != nil {
		return account{}, err
	}
	a := account{bin: filepath.Dir(server), place: dir, owner: -1}
	if os.Geteuid() != 0 {
		return a, nil
	}
	a.prefix = []string{
		"unshare", "-U", "--map-user=" + strconv.Itoa(nobody), "--map-group=" + strconv.Itoa(nobody), "--",
	}
	if a.works(ctx) == nil {
		return a, nil
	}
	return changedUser(ctx, filepath.Dir(server), dir)
}

// changedUser is for root where user namespaces are forbidden, as in many containers: the user is
// changed in truth. That user reaches neither dir nor the programs as a rule, so both get a place
// below os.TempDir, and dir a link to it.
func changedUser(ctx context.Context, bin, dir string) (account, error) {
	place, err := placeFor(dir)
	if err != nil {
		return account{}, err
	}
	id := strconv.Itoa(nobody)
	a := account{
		prefix: []string{"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--pdeathsig", "KILL", "--"},
		bin:    bin,
		place:  place,
		owner:  nobody,
	}
	if a.works(ctx) == nil {
		return a, nil
	}
	a.bin = filepath.Join(place, "postgresql", "bin")
	if _, err := os.Stat(a.bin); errors.Is(err, os.ErrNotExist) {
		if err := os.CopyFS(filepath.Dir(a.bin), os.DirFS(filepath.Dir(bin))); err != nil {
			return account{}, fmt.Errorf("copy postgresql: %w", err)
		}
	}
	if err := a.works(ctx); err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root, and neither unshare nor setpriv works here: %w", err)
	}
	return a, nil
}

// works tries a program that, as initdb does, must be able to read itself.
func (a account) works(ctx context.Context) error {
	if out, err := a.command(ctx, "pg_config", "--bindir").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// placeFor is the directory that dir links to, made at the first time.
func placeFor(dir string) (string, error) {
	link := filepath.Join(dir, "place")
	if place, err := os.Readlink(link); err == nil {
		return place, nil
	}
	place, err := os.MkdirTemp("", "sluice-postgresql-")
	if err != nil {
		return "", err
	}
	// To be passed through; what is secret in it has modes of its own.
	if err := os.Chmod(place, 0o711); err != nil {
		return "", err
	}
	return place, os.Symlink(place, link)
}

// command is one of PostgreSQL's programs, to be run under the account.
func (a account) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	argv := append(append([]string{}, a.prefix...), filepath.Join(a.bin, program))
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// Settings of whoever runs this, PGHOST for instance, must not change what happens.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	return cmd
}

// own hands files over to the account.
func (a account) own(paths ...string) error {
	if a.owner < 0 {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, a.owner, a.owner); err != nil {
			return err
		}
	}
	return nil
}
