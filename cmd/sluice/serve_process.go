package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"
	"k8s.io/klog/v2"

	configv1 "github.com/sluicegate/sluice/api/gen/sluice/config/v1"
	policyv1 "github.com/sluicegate/sluice/api/gen/sluice/policy/v1"
	recordv1 "github.com/sluicegate/sluice/api/gen/sluice/record/v1"
	"github.com/sluicegate/sluice/api/peer"
	"github.com/sluicegate/sluice/authz/approval"
	"github.com/sluicegate/sluice/authz/approval/redisstore"
	"github.com/sluicegate/sluice/authz/credential"
	"github.com/sluicegate/sluice/authz/guard"
	"github.com/sluicegate/sluice/authz/identity"
	"github.com/sluicegate/sluice/extproc/postgres"
	"github.com/sluicegate/sluice/extproc/postgres/relcache"
	"github.com/sluicegate/sluice/extproc/record"
	"github.com/sluicegate/sluice/policies"
	"github.com/sluicegate/sluice/policies/sqlfacts"
	"github.com/sluicegate/sluice/xds/client"
	"github.com/sluicegate/sluice/xds/resources"
)

// recordKeys is the directory of the recorder's keys, in the state directory.
const recordKeys = "record-keys"

// factsCache bounds what is kept of statements that were read, in bytes.
const factsCache = 16 << 20

// processRole is the processor: what Envoy hands bytes over to.
type processRole struct {
	config   *configv1.Process
	logger   *slog.Logger
	recorder *record.Recorder
	policies *client.Client
	server   *postgres.Server
	listener net.Listener
	http     *httpServer // nil: this processor serves no HTTP targets

	redis  *redis.Client
	store  *redisstore.Store
	feed   *approval.Feed
	desk   *approval.Desk
	signer *approval.Signer
	keys   *approval.Keyring
}

func startProcess(ctx context.Context, i *instance, sources identity.Sources) (_ *processRole, err error) {
	p := &processRole{config: i.config.GetProcess(), logger: i.logger}
	defer func() {
		if err != nil {
			p.stop(ctx)
		}
	}()
	if err := p.openRecorder(ctx, i); err != nil {
		return p, err
	}
	if err := p.openApprovals(ctx, i, sources); err != nil {
		return p, err
	}
	inForce := ""
	p.policies, err = client.New(ctx, client.Options{
		Socket: p.config.GetXds(), NodeID: p.config.GetId(), MaxAge: p.config.GetPolicyMaxAge().AsDuration(),
		StateFile: filepath.Join(i.config.GetStateDir(), "bundle.pb"), Now: time.Now, Logger: i.logger,
		Apply: func(b *policyv1.Bundle) (*policies.Policy, error) {
			compiled, err := policies.Compile(b)
			if err == nil {
				err = i.identities.Update(b.GetIssuers())
			}
			if err != nil || b.GetVersion() != inForce { // it comes again with each stream
				i.told.PolicyChanged("processor", err == nil)
			}
			if err == nil {
				inForce = b.GetVersion()
			}
			return compiled, err
		},
	})
	if err != nil {
		return p, err
	}
	i.goes(ctx, "policy subscription", p.policies.Run)
	return p, p.listen(ctx, i, sources)
}

func (p *processRole) openRecorder(ctx context.Context, i *instance) (err error) {
	c := p.config.GetRecorder()
	klog.SetSlogLogger(i.logger) // the transparency log's library logs there
	p.recorder, err = record.Open(ctx, record.Options{
		Dir: c.GetDir(), KeyDir: filepath.Join(i.config.GetStateDir(), recordKeys), Processor: p.config.GetId(), Logger: i.logger,
		WarnFree: c.GetWarnFreeBytes(), StopFree: c.GetStopFreeBytes(),
	})
	if err != nil {
		return fmt.Errorf("recorder: %w", err)
	}
	return nil
}

// openApprovals connects to Redis. Nothing is asked of it before something is held: what needs no approval goes on
// without it.
func (p *processRole) openApprovals(ctx context.Context, i *instance, sources identity.Sources) (err error) {
	state := i.config.GetStateDir()
	if p.signer, err = approval.OpenSigner(filepath.Join(state, "vote.key"), rand.Reader); err != nil {
		return fmt.Errorf("vote key: %w", err)
	}
	if files := p.config.GetVoteKeys(); len(files) > 0 {
		p.keys, err = approval.LoadKeyring(files...)
	} else {
		p.keys = approval.NewKeyring(p.signer.Public())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("process.vote_keys: %w: it is made by the processor whose api takes votes, as vote.key.pub in its state_dir; copy it here", err)
	}
	c := i.config.GetRedis()
	if err != nil || c == nil {
		return err
	}
	options, err := redisOptions(ctx, i, c, sources)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	redis.SetLogger(quiet{})
	p.redis = redis.NewClient(options)
	p.store = redisstore.New(p.redis)
	p.feed = approval.NewFeed(p.store, i.logger)                                             //nolint:contextcheck // it lives until stop
	p.desk = approval.NewDesk(p.store, p.feed, p.keys, p.config.GetId(), time.Now, i.logger) //nolint:contextcheck // likewise
	return nil
}

// listen takes connections from Envoy.
func (p *processRole) listen(ctx context.Context, i *instance, sources identity.Sources) error {
	cert, err := openCertificate(ctx, i, "process.tls", p.config.GetTls())
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	if err := makeSocketDir(p.config.GetPostgres()); err != nil {
		return err
	}
	if dir := p.config.GetEgressDir(); dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if p.listener, err = peer.ListenAs(ctx, "process.postgres", p.config.GetPostgres(), i.logger); err != nil {
		return err
	}
	g := guard.New(p.policies, i.identities, p.desk, p.durable(i.config.GetRedis()), i.told, time.Now)
	credentials := credential.NewBroker(sources)
	p.server = postgres.NewServer(postgres.Options{
		Processor: p.config.GetId(), Guard: g,
		Credentials: credentials, Recorder: recorder{p.recorder}, Analyzer: sqlfacts.NewAnalyzer(factsCache),
		Names:   relcache.NewNames(filepath.Join(i.config.GetStateDir(), "names"), time.Now),
		Sources: sources, Certificate: cert.get,
		EgressSocket: func(target string, endpoint int) string {
			return resources.EgressSocket(p.config.GetEgressDir(), target, endpoint)
		},
		SessionID:      func() (string, error) { return record.NewSessionID(p.config.GetId(), rand.Reader) },
		StartupTimeout: p.config.GetStartupTimeout().AsDuration(), Metrics: postgres.NewMetrics(i.metrics), Told: i.told,
		Now: time.Now, Random: rand.Reader, Logger: i.logger,
	})
	i.goes(ctx, "postgres listener", func(context.Context) error {
		if err := p.server.Serve(p.listener); err != nil {
			return err
		}
		return context.Canceled // it was closed
	})
	if p.config.GetHttp() != nil {
		p.http, err = p.serveHTTP(ctx, i, g, credentials)
	}
	return err
}

// endSession ends a live session of this process; false if there is none of that id.
func (p *processRole) endSession(id, reason string) bool {
	return p.server.EndSession(id, reason) || p.http != nil && p.http.check.EndSession(id, reason)
}

// durable checks that Redis keeps what it acknowledged, unless the operator accepts that it may not. Those who ask at the
// same time share an answer.
func (p *processRole) durable(c *configv1.Redis) func(context.Context) error {
	if c.GetAcceptLoss() {
		return func(context.Context) error { return nil }
	}
	var asking singleflight.Group
	return func(ctx context.Context) error {
		answer := asking.DoChan("", func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return nil, p.store.CheckDurability(ctx)
		})
		select {
		case a := <-answer:
			return a.Err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// recorder is the record as package postgres sees it.
type recorder struct{ *record.Recorder }

// Begin implements postgres.Recorder.
func (r recorder) Begin(ctx context.Context, id string, start *recordv1.SessionStart) (postgres.Recording, error) {
	s, err := r.Recorder.Begin(ctx, id, start)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// drain lets sessions end.
func (p *processRole) drain(ctx context.Context) {
	if p.listener != nil {
		_ = p.listener.Close() // whoever waits in it is told to connect again
	}
	if p.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.config.GetDrainTimeout().AsDuration())
	defer cancel()
	var wg sync.WaitGroup
	if p.http != nil {
		wg.Go(func() { p.http.drain(ctx) })
	}
	p.server.Drain(ctx)
	wg.Wait()
}

// stop ends the rest, what others need last.
func (p *processRole) stop(ctx context.Context) {
	if p.listener != nil {
		_ = p.listener.Close() // it may be closed
	}
	if p.server != nil {
		p.server.Close()
	}
	if p.http != nil {
		p.http.stop(ctx)
	}
	if p.desk != nil {
		p.desk.Close()
	}
	if p.feed != nil {
		p.feed.Close()
	}
	if p.redis != nil {
		_ = p.redis.Close() // nothing is written at its end
	}
	if p.recorder == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := p.recorder.Close(ctx); err != nil {
		p.logger.ErrorContext(ctx, "the recorder did not close cleanly", slog.Any("error", err))
	}
}
