package relcache

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicegate/sluice/policies/sqlfacts"
)

// ErrUnavailable says that the catalog cannot be read at the moment, so that what needs it is denied.
var ErrUnavailable = errors.New("relcache: the database's catalog cannot be read")

var errClosed = errors.New("the cache is closed")

const (
	// checkEvery is how often the fingerprint is compared while somebody uses the cache.
	checkEvery = time.Second
	// staleAfter is how long the last comparison may be ago.
	staleAfter = 3 * time.Second
	// idleAfter closes the connection when nobody asked for so long.
	idleAfter = time.Minute
	// loadTimeout bounds one reading of the catalog.
	loadTimeout = 15 * time.Second
	// maxPaths is how many search_paths are remembered for one snapshot.
	maxPaths = 256
)

// Connect opens the cache's own connection, with the target's credential.
type Connect func(ctx context.Context) (*pgx.Conn, error)

// Cache keeps the catalog of one database, as one role sees it on one endpoint. It is safe for concurrent use.
type Cache struct {
	connect Connect
	target  string
	names   *Names
	logger  *slog.Logger
	now     func() time.Time
	// version numbers snapshots: no two of a process alike, since facts are cached by text and version.
	version func() uint64

	// turn has room for the one who talks to the database; whoever put something in also has conn and bodies.
	turn   chan struct{}
	conn   *pgx.Conn
	bodies bodies
	// database is that of conn, as Names knows it.
	database string

	mu      sync.Mutex
	current *snapshot
	views   map[string]*withPath
	checked time.Time
	used    time.Time
	// doubts counts the reasons for a comparison before the next answer; what came before the first settled of them is
	// in current.
	doubts, settled uint64
	// asks counts who asked for a comparison; the last one that ended had begun after the first covered of them asked,
	// and answers them all.
	asks, covered uint64
	answer        error
	closed        bool
}

// New makes a cache of a target's database. Run must be called for it to stay fresh; it reads nothing before the first Snapshot. version gives
// a number that no other snapshot of the process has; names remembers what was called otherwise.
func New(target string, connect Connect, names *Names, version func() uint64, now func() time.Time, logger *slog.Logger) *Cache {
	if names == nil {
		names = NewNames("", now)
	}
	return &Cache{
		target: target, connect: connect, names: names, version: version, now: now, logger: logger,
		turn: make(chan struct{}, 1), bodies: bodies{}, views: map[string]*withPath{},
	}
}

// Run compares the fingerprint every second while the cache is in use, until the context ends; from then on the cache
// is unavailable.
func (c *Cache) Run(ctx context.Context) {
	defer func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.disconnect(ctx)
	}()
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.tick(ctx)
		}
	}
}

func (c *Cache) tick(ctx context.Context) {
	c.mu.Lock()
	idle := c.now().Sub(c.used)
	loaded := c.current != nil
	c.mu.Unlock()
	switch {
	case idle > idleAfter:
		c.disconnect(ctx)
	case loaded:
		if err := c.check(ctx); err != nil && ctx.Err() == nil {
			c.logger.Warn("the database's catalog cannot be read", slog.Any("error", err))
		}
	}
}

func (c *Cache) disconnect(ctx context.Context) {
	c.turn <- struct{}{} // whoever has it gives it back within loadTimeout
	c.drop(ctx)
	<-c.turn
}

// drop closes the connection, also when ctx has ended; the caller has the turn.
func (c *Cache) drop(ctx context.Context) {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.conn.Close(ctx) // it is thrown away, whatever it says
	c.conn = nil
}

// Invalidate makes the next Snapshot compare first: DDL has passed.
func (c *Cache) Invalidate() {
	c.mu.Lock()
	c.doubts++
	c.mu.Unlock()
}

// Snapshot is the catalog for a session with this search_path, as current_schemas(true) gives it. The error wraps
// ErrUnavailable.
func (c *Cache) Snapshot(ctx context.Context, path []string) (sqlfacts.Catalog, error) {
	c.mu.Lock()
	now := c.now()
	c.used = now
	fresh := c.current != nil && c.doubts == c.settled && !c.closed && now.Sub(c.checked) < staleAfter
	if fresh {
		defer c.mu.Unlock()
		return c.view(path), nil
	}
	c.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view(path), nil
}

// Latest is a catalog that may be behind changes of the last second or so: what stands in it must decide nothing.
func (c *Cache) Latest(ctx context.Context, path []string) (sqlfacts.Catalog, error) {
	c.mu.Lock()
	if c.current != nil && !c.closed {
		defer c.mu.Unlock()
		c.used = c.now()
		return c.view(path), nil
	}
	c.mu.Unlock()
	return c.Snapshot(ctx, path)
}

// view is the current snapshot with a path; mu is held.
func (c *Cache) view(path []string) *withPath {
	key := strings.Join(path, "\x00")
	v := c.views[key]
	if v == nil {
		if len(c.views) >= maxPaths {
			clear(c.views)
		}
		v = &withPath{snapshot: c.current, version: c.version(), path: slices.Clone(path), lookup: c.lookup}
		c.views[key] = v
	}
	return v
}

// check compares the fingerprint and reads the catalog again if it differs. All who ask while one comparison is under
// way share the next one, and its error: a database that is away is not waited for by each of them in turn.
func (c *Cache) check(ctx context.Context) error {
	c.mu.Lock()
	c.asks++
	asked := c.asks
	c.mu.Unlock()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	c.mu.Lock()
	if asked <= c.covered {
		defer c.mu.Unlock()
		return c.answer
	}
	began, covers, doubts, known, closed := c.now(), c.asks, c.doubts, c.current, c.closed
	c.mu.Unlock()
	if closed {
		return unavailable(errClosed)
	}
	bounded, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	next, err := c.read(bounded, known)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.doubts++
		err = unavailable(err)
	} else {
		c.checked, c.settled = began, doubts
		if next != known {
			c.current = next
			clear(c.views)
		}
	}
	if ctx.Err() == nil { // one who gave up answers for nobody else
		c.covered, c.answer = covers, err
	}
	return err
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// mostReadings is how often the catalog is read at most when objects go while it is read.
const mostReadings = 8

// read gives the known snapshot if nothing changed, else a new one. A connection that broke since is worth a second try;
// an object that is dropped while it is read, several: PostgreSQL's functions look into the catalog of the moment, and
// not into that of the transaction. The caller has the turn.
func (c *Cache) read(ctx context.Context, known *snapshot) (*snapshot, error) {
	next, err := c.readOnce(ctx, known)
	for again := 1; err != nil && ctx.Err() == nil; again++ {
		if again >= mostReadings || again >= 2 && !vanished(err) {
			break
		}
		next, err = c.readOnce(ctx, known)
	}
	return next, err
}

// vanished reports whether an error says that something is not there any more: XX000 of a cache lookup, or one of the
// undefined ones.
func vanished(err error) bool {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case "XX000", "42P01", "42703", "42704", "42883", "3F000":
		return true
	}
	return false
}

func (c *Cache) readOnce(ctx context.Context, known *snapshot) (*snapshot, error) {
	if c.conn == nil || c.conn.IsClosed() {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
	}
	if known != nil {
		var fingerprint string
		if err := c.conn.QueryRow(ctx, fingerprintSQL()).Scan(&fingerprint); err != nil {
			c.drop(ctx)
			return nil, err
		}
		if fingerprint == known.fingerprint {
			return known, nil
		}
	}
	fingerprint, r, err := load(ctx, c.conn)
	if err != nil {
		if !vanished(err) {
			c.drop(ctx)
		}
		return nil, err
	}
	next := build(fingerprint, r)
	c.bodies = describeCalls(next, r, c.bodies)
	if err := c.names.remember(c.database, next); err != nil {
		return nil, err
	}
	return next, nil
}

// clusterSQL identifies a cluster, its standbys included: OIDs mean the same wherever it is the same.
const clusterSQL = `SELECT system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system()`

// databaseSQL identifies a database within it, whatever it is called.
const databaseSQL = `SELECT oid::pg_catalog.text FROM pg_catalog.pg_database WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database()`

// identify says which database a connection is to, as Names knows it. Where the cluster says nothing of itself, as some
// services do, the target stands for it.
func identify(ctx context.Context, conn *pgx.Conn, target string) (string, error) {
	var cluster, database string
	if err := conn.QueryRow(ctx, databaseSQL).Scan(&database); err != nil {
		return "", err
	}
	err := conn.QueryRow(ctx, clusterSQL).Scan(&cluster)
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return "target-" + hex.EncodeToString([]byte(target)) + "-" + database, nil
	}
	return cluster + "-" + database, err
}

func (c *Cache) open(ctx context.Context) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	// PostgreSQL locks what it deparses: somebody's ALTER TABLE in an open transaction is not waited for without end.
	for _, sql := range []string{"SET search_path = ''", "SET lock_timeout = '2s'"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			_ = conn.Close(ctx) // it is of no use
			return err
		}
	}
	if c.database, err = identify(ctx, conn, c.target); err != nil {
		_ = conn.Close(ctx) // it is of no use
		return fmt.Errorf("which database it is cannot be asked: %w", err)
	}
	c.conn = conn
	return nil
}

// lookup finds a relation that a snapshot does not have: it may be newer. At most one reading a call.
func (c *Cache) lookup(oid uint32) (*sqlfacts.Relation, error) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current.byOID[oid], nil
}
