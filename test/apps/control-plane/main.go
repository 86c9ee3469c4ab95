// control-plane: a foreign xDS server for tests, made of Envoy's go-control-plane: its ADS server (delta and state of the
// world) over one linear cache per type.  It serves whatever bytes a test gives it under a name; types of Envoy are first
// parsed and validated by Envoy's own definitions.
//
// It prints {"xds": PORT, "control": PORT} and lives until its stdin is closed.  On the control port (HTTP, loopback):
//
//	PUT  /resources  {TYPE_URL: {NAME: BASE64}}  replaces all resources of the types that are named
//	GET  /requests   [{type, nonce, error, names, versions}] of all streams so far
//	POST /streams/end                            ends every stream, as an old connection would
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	server "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

const envoyPrefix = "type.googleapis.com/envoy."

var served = []string{
	"type.googleapis.com/istio.workload.Address",
	"type.googleapis.com/istio.security.Authorization",
	envoyPrefix + "extensions.transport_sockets.tls.v3.Secret",
	envoyPrefix + "config.cluster.v3.Cluster",
	envoyPrefix + "config.endpoint.v3.ClusterLoadAssignment",
	envoyPrefix + "config.route.v3.RouteConfiguration",
	envoyPrefix + "config.listener.v3.Listener",
}

// raw is a resource whose bytes the test made: an empty message with nothing but unknown fields marshals to them.
type raw struct {
	*emptypb.Empty
	name string
}

func (r raw) GetName() string { return r.name }

func newRaw(name string, bytes []byte) types.Resource {
	empty := &emptypb.Empty{}
	empty.ProtoReflect().SetUnknown(bytes)
	return raw{empty, name}
}

// validate parses what is of Envoy with Envoy's definitions.
func validate(typeURL string, bytes []byte) error {
	if len(typeURL) < len(envoyPrefix) || typeURL[:len(envoyPrefix)] != envoyPrefix {
		return nil
	}
	message, err := anypb.UnmarshalNew(&anypb.Any{TypeUrl: typeURL, Value: bytes}, proto.UnmarshalOptions{})
	if err != nil {
		return err
	}
	if checked, ok := message.(interface{ ValidateAll() error }); ok {
		return checked.ValidateAll()
	}
	return nil
}

type request struct {
	Type     string            `json:"type"`
	Nonce    string            `json:"nonce"`
	Error    string            `json:"error"`
	Names    []string          `json:"names"`
	Versions map[string]string `json:"versions"`
	Node     *core.Node        `json:"node,omitempty"`
}

type state struct {
	caches map[string]*cache.LinearCache
	mu     sync.Mutex
	seen   []request
	end    context.CancelFunc
	alive  context.Context
	// closed by the first resources
	filled chan struct{}
	fill   sync.Once
}

func newState() *state {
	s := &state{caches: map[string]*cache.LinearCache{}, filled: make(chan struct{})}
	for _, url := range served {
		s.caches[url] = cache.NewLinearCache(url)
	}
	s.alive, s.end = context.WithCancel(context.Background())
	return s
}

func (s *state) note(r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r)
}

func (s *state) endStreams() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
	s.alive, s.end = context.WithCancel(context.Background())
}

func (s *state) lifetime() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

func (s *state) replace(all map[string]map[string]string) error {
	made := map[string]map[string]types.Resource{}
	for url, resources := range all {
		if s.caches[url] == nil {
			return fmt.Errorf("type %s is not served", url)
		}
		made[url] = map[string]types.Resource{}
		for name, text := range resources {
			bytes, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return err
			}
			if err := validate(url, bytes); err != nil {
				return fmt.Errorf("%s %s: %w", url, name, err)
			}
			made[url][name] = newRaw(name, bytes)
		}
	}
	for url, resources := range made {
		s.caches[url].SetResources(resources)
	}
	s.fill.Do(func() { close(s.filled) })
	return nil
}

// bound is a stream that ends when its server says so.
type bound struct {
	grpc.ServerStream
	ctx context.Context
}

func (b bound) Context() context.Context { return b.ctx }

func (s *state) intercept(token string, delta, hold bool) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if !delta && info.FullMethod == "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources" {
			return status.Error(codes.Unimplemented, "delta is switched off")
		}
		md, _ := metadata.FromIncomingContext(ss.Context())
		if got := md.Get("authorization"); token != "" && (len(got) != 1 || got[0] != "Bearer "+token) {
			return status.Error(codes.Unauthenticated, "the token is not the one")
		}
		if hold {
			select {
			case <-s.filled:
			case <-ss.Context().Done():
				return ss.Context().Err()
			}
		}
		life := s.lifetime()
		ctx, cancel := context.WithCancel(ss.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- handler(srv, bound{ss, ctx}) }()
		select {
		case err := <-done:
			return err
		case <-life.Done():
			return status.Error(codes.Unavailable, "transport is closing")
		}
	}
}

func (s *state) callbacks() server.Callbacks {
	return server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, r *discovery.DiscoveryRequest) error {
			s.note(request{r.TypeUrl, r.ResponseNonce, r.GetErrorDetail().GetMessage(), r.ResourceNames, nil, r.Node})
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, r *discovery.DeltaDiscoveryRequest) error {
			s.note(request{r.TypeUrl, r.ResponseNonce, r.GetErrorDetail().GetMessage(), r.ResourceNamesSubscribe,
				r.InitialResourceVersions, r.Node})
			return nil
		},
	}
}

func (s *state) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /resources", func(w http.ResponseWriter, r *http.Request) {
		var all map[string]map[string]string
		err := json.NewDecoder(r.Body).Decode(&all)
		if err == nil {
			err = s.replace(all)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(s.seen)
	})
	mux.HandleFunc("POST /streams/end", func(http.ResponseWriter, *http.Request) { s.endStreams() })
	return mux
}

func run() error {
	port := flag.Int("port", 0, "of ADS, on 127.0.0.1; 0: any")
	delta := flag.Bool("delta", true, "serve DeltaAggregatedResources")
	hold := flag.Bool("hold", false, "answer nobody before there are resources")
	maxReceive := flag.Int("max-receive", 64<<20, "bytes of a request")
	cert := flag.String("cert", "", "PEM file; without one ADS is plaintext")
	key := flag.String("key", "", "PEM file")
	token := flag.String("token", "", "that callers must bear")
	flag.Parse()

	s := newState()
	options := []grpc.ServerOption{
		grpc.StreamInterceptor(s.intercept(*token, *delta, *hold)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(*maxReceive),
	}
	if *cert != "" {
		creds, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(creds))
	}
	caches := map[string]cache.Cache{}
	for url, one := range s.caches {
		caches[url] = one
	}
	mux := &cache.MuxCache{
		Classify:      func(r *cache.Request) string { return r.TypeUrl },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.TypeUrl },
		Caches:        caches,
	}
	ads := grpc.NewServer(options...)
	discovery.RegisterAggregatedDiscoveryServiceServer(ads, server.NewServer(context.Background(), mux, s.callbacks()))

	xds, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("{\"xds\": %d, \"control\": %d}\n", xds.Addr().(*net.TCPAddr).Port, control.Addr().(*net.TCPAddr).Port)
	ended := make(chan error, 3)
	go func() { ended <- ads.Serve(xds) }()
	go func() { ended <- http.Serve(control, s.control()) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- errors.Join(err, io.EOF)
	}()
	if err := <-ended; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
