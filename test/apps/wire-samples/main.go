// wire-samples prints L7 resources as go-control-plane's own types encode them: one JSON object { name: base64 } with a
// resource of every kind, for the unit test that podwire decodes what others write.
//
//	cd test/apps/wire-samples && go run . >../../fixtures/wire-samples.json
package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	authz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	limit "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	httprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	http "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	kind "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func pack(message proto.Message) *anypb.Any {
	packed, err := anypb.New(message)
	if err != nil {
		panic(err)
	}
	return packed
}

func exact(text string) *matcher.StringMatcher {
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: text}}
}

func seconds(count int) *durationpb.Duration {
	return durationpb.New(time.Duration(count) * time.Second)
}
func number(value uint32) *wrapperspb.UInt32Value { return wrapperspb.UInt32(value) }

func share(numerator uint32) *core.RuntimeFractionalPercent {
	return &core.RuntimeFractionalPercent{DefaultValue: &kind.FractionalPercent{Numerator: numerator}}
}

func ads() *core.ConfigSource {
	return &core.ConfigSource{ResourceApiVersion: core.ApiVersion_V3,
		ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}}}
}

func address(ip string, port uint32) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port}}}}
}

func aListener() proto.Message {
	rules := &rbac.RBAC{Action: rbac.RBAC_DENY, Policies: map[string]*rbac.Policy{"p": {
		Permissions: []*rbac.Permission{{Rule: &rbac.Permission_NotRule{NotRule: &rbac.Permission{
			Rule: &rbac.Permission_UrlPath{UrlPath: &matcher.PathMatcher{Rule: &matcher.PathMatcher_Path{Path: exact("/a")}}}}}}},
		Principals: []*rbac.Principal{{Identifier: &rbac.Principal_AndIds{AndIds: &rbac.Principal_Set{Ids: []*rbac.Principal{
			{Identifier: &rbac.Principal_Authenticated_{Authenticated: &rbac.Principal_Authenticated{PrincipalName: exact("spiffe://td/ns/a/sa/b")}}},
			{Identifier: &rbac.Principal_RemoteIp{RemoteIp: &core.CidrRange{AddressPrefix: "10.0.0.0", PrefixLen: number(8)}}},
		}}}}},
	}}}
	provider := &jwt.JwtProvider{Issuer: "i", Audiences: []string{"a"}, Forward: true, PayloadInMetadata: "payload",
		FromHeaders: []*jwt.JwtHeader{{Name: "authorization", ValuePrefix: "Bearer "}},
		JwksSourceSpecifier: &jwt.JwtProvider_LocalJwks{LocalJwks: &core.DataSource{
			Specifier: &core.DataSource_InlineString{InlineString: "{}"}}}}
	filters := []*hcm.HttpFilter{}
	add := func(name string, config proto.Message) {
		filters = append(filters, &hcm.HttpFilter{Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: pack(config)}})
	}
	add("authn", &jwt.JwtAuthentication{Providers: map[string]*jwt.JwtProvider{"p": provider},
		Rules: []*jwt.RequirementRule{{
			Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
			RequirementType: &jwt.RequirementRule_Requires{Requires: &jwt.JwtRequirement{
				RequiresType: &jwt.JwtRequirement_ProviderName{ProviderName: "p"}}}}}})
	add("rbac", &httprbac.RBAC{Rules: rules})
	add("authz", &authz.ExtAuthz{TransportApiVersion: core.ApiVersion_V3, FailureModeAllow: true,
		StatusOnError: &kind.HttpStatus{Code: kind.StatusCode_ServiceUnavailable},
		Services: &authz.ExtAuthz_GrpcService{GrpcService: &core.GrpcService{Timeout: seconds(1),
			TargetSpecifier: &core.GrpcService_EnvoyGrpc_{EnvoyGrpc: &core.GrpcService_EnvoyGrpc{ClusterName: "authz"}}}}})
	add("limit", &limit.LocalRateLimit{StatPrefix: "l", FilterEnabled: share(100), FilterEnforced: share(50),
		TokenBucket: &kind.TokenBucket{MaxTokens: 5, TokensPerFill: number(2), FillInterval: seconds(1)}})
	add("cors", &cors.Cors{})
	add("router", &router.Router{})
	manager := &hcm.HttpConnectionManager{StatPrefix: "s", HttpFilters: filters, MergeSlashes: true,
		RouteSpecifier:               &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{ConfigSource: ads(), RouteConfigName: "r"}},
		ForwardClientCertDetails:     hcm.HttpConnectionManager_SANITIZE_SET,
		StreamIdleTimeout:            seconds(7),
		NormalizePath:                wrapperspb.Bool(true),
		PathWithEscapedSlashesAction: hcm.HttpConnectionManager_UNESCAPE_AND_FORWARD,
		UpgradeConfigs:               []*hcm.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}}}
	context := &tls.DownstreamTlsContext{RequireClientCertificate: wrapperspb.Bool(true),
		CommonTlsContext: &tls.CommonTlsContext{AlpnProtocols: []string{"h2"},
			TlsParams:                      &tls.TlsParameters{TlsMinimumProtocolVersion: tls.TlsParameters_TLSv1_3},
			TlsCertificateSdsSecretConfigs: []*tls.SdsSecretConfig{{Name: "default", SdsConfig: ads()}},
			ValidationContextType: &tls.CommonTlsContext_CombinedValidationContext{
				CombinedValidationContext: &tls.CommonTlsContext_CombinedCertificateValidationContext{
					DefaultValidationContext: &tls.CertificateValidationContext{
						MatchTypedSubjectAltNames: []*tls.SubjectAltNameMatcher{{
							SanType: tls.SubjectAltNameMatcher_URI, Matcher: exact("spiffe://td/ns/a/sa/b")}}},
					ValidationContextSdsSecretConfig: &tls.SdsSecretConfig{Name: "ROOTCA", SdsConfig: ads()}}}}}
	return &listener.Listener{Name: "inbound|80|w", Address: address("0.0.0.0", 80), TrafficDirection: core.TrafficDirection_INBOUND,
		FilterChains: []*listener.FilterChain{{Name: "c",
			FilterChainMatch: &listener.FilterChainMatch{DestinationPort: number(80), ServerNames: []string{"*.example.com"},
				TransportProtocol: "tls", PrefixRanges: []*core.CidrRange{{AddressPrefix: "fd00::", PrefixLen: number(64)}}},
			TransportSocket: &core.TransportSocket{Name: "tls", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(context)}},
			Filters:         []*listener.Filter{{Name: "hcm", ConfigType: &listener.Filter_TypedConfig{TypedConfig: pack(manager)}}}}}}
}

func aRoute() proto.Message {
	policy := &cors.CorsPolicy{AllowOriginStringMatch: []*matcher.StringMatcher{exact("o")}, AllowMethods: "GET", AllowCredentials: wrapperspb.Bool(true)}
	action := &route.RouteAction{Timeout: seconds(3),
		ClusterSpecifier: &route.RouteAction_WeightedClusters{WeightedClusters: &route.WeightedCluster{Clusters: []*route.WeightedCluster_ClusterWeight{
			{Name: "a", Weight: number(9)}, {Name: "b", Weight: number(1),
				RequestHeadersToAdd: []*core.HeaderValueOption{{Header: &core.HeaderValue{Key: "k", Value: "v"},
					AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}}}}}},
		RetryPolicy: &route.RetryPolicy{RetryOn: "5xx,reset", NumRetries: number(3), PerTryTimeout: seconds(1), RetriableStatusCodes: []uint32{503},
			RetryBackOff: &route.RetryPolicy_RetryBackOff{BaseInterval: seconds(1)}},
		RequestMirrorPolicies: []*route.RouteAction_RequestMirrorPolicy{{Cluster: "m", RuntimeFraction: share(10)}},
		HashPolicy: []*route.RouteAction_HashPolicy{{PolicySpecifier: &route.RouteAction_HashPolicy_Cookie_{
			Cookie: &route.RouteAction_HashPolicy_Cookie{Name: "c", Ttl: seconds(60), Path: "/"}}}},
		HostRewriteSpecifier: &route.RouteAction_AutoHostRewrite{AutoHostRewrite: wrapperspb.Bool(true)}, PrefixRewrite: "/new",
		MaxStreamDuration: &route.RouteAction_MaxStreamDuration{GrpcTimeoutHeaderMax: seconds(9)},
		RateLimits: []*route.RateLimit{{Stage: number(1), Actions: []*route.RateLimit_Action{{
			ActionSpecifier: &route.RateLimit_Action_RequestHeaders_{RequestHeaders: &route.RateLimit_Action_RequestHeaders{HeaderName: "x-u", DescriptorKey: "u"}}}}}}}
	match := &route.RouteMatch{PathSpecifier: &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: "/a"}, CaseSensitive: wrapperspb.Bool(false),
		Headers:         []*route.HeaderMatcher{{Name: "X-Version", InvertMatch: true, HeaderMatchSpecifier: &route.HeaderMatcher_StringMatch{StringMatch: exact("1")}}},
		QueryParameters: []*route.QueryParameterMatcher{{Name: "q", QueryParameterMatchSpecifier: &route.QueryParameterMatcher_PresentMatch{PresentMatch: true}}}}
	return &route.RouteConfiguration{Name: "r", IgnorePortInHostMatching: true, VirtualHosts: []*route.VirtualHost{{Name: "v", Domains: []string{"*"},
		TypedPerFilterConfig: map[string]*anypb.Any{"envoy.filters.http.cors": pack(policy)},
		Routes: []*route.Route{
			{Name: "first", Match: match, Action: &route.Route_Route{Route: action}},
			{Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Path{Path: "/old"}},
				Action: &route.Route_Redirect{Redirect: &route.RedirectAction{ResponseCode: route.RedirectAction_PERMANENT_REDIRECT,
					SchemeRewriteSpecifier: &route.RedirectAction_HttpsRedirect{HttpsRedirect: true}}}},
			{Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{Status: 404,
					Body: &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: "gone"}}}}}}}}}
}

func aCluster() proto.Message {
	options := &http.HttpProtocolOptions{UpstreamProtocolOptions: &http.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &http.HttpProtocolOptions_ExplicitHttpConfig{ProtocolConfig: &http.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
			Http2ProtocolOptions: &core.Http2ProtocolOptions{}}}}}
	context := &tls.UpstreamTlsContext{Sni: "s.example.com", CommonTlsContext: &tls.CommonTlsContext{
		ValidationContextType: &tls.CommonTlsContext_ValidationContextSdsSecretConfig{
			ValidationContextSdsSecretConfig: &tls.SdsSecretConfig{Name: "ROOTCA", SdsConfig: ads()}}}}
	return &cluster.Cluster{Name: "c", ConnectTimeout: seconds(2), LbPolicy: cluster.Cluster_MAGLEV,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_EDS},
		EdsClusterConfig:     &cluster.Cluster_EdsClusterConfig{EdsConfig: ads(), ServiceName: "s"},
		LbConfig:             &cluster.Cluster_MaglevLbConfig_{MaglevLbConfig: &cluster.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(251)}},
		CommonLbConfig:       &cluster.Cluster_CommonLbConfig{HealthyPanicThreshold: &kind.Percent{Value: 12.5}},
		CircuitBreakers:      &cluster.CircuitBreakers{Thresholds: []*cluster.CircuitBreakers_Thresholds{{MaxConnections: number(7), MaxRequests: number(4294967295)}}},
		OutlierDetection:     &cluster.OutlierDetection{Consecutive_5Xx: number(2), EnforcingSuccessRate: number(0), BaseEjectionTime: seconds(5)},
		HealthChecks: []*core.HealthCheck{{Interval: seconds(2), Timeout: seconds(1), HealthyThreshold: number(2), UnhealthyThreshold: number(3),
			HealthChecker: &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &core.HealthCheck_HttpHealthCheck{Path: "/h",
				ExpectedStatuses: []*kind.Int64Range{{Start: 200, End: 300}}}}}},
		UpstreamConnectionOptions:     &cluster.UpstreamConnectionOptions{TcpKeepalive: &core.TcpKeepalive{KeepaliveTime: number(30)}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": pack(options)},
		TransportSocket:               &core.TransportSocket{Name: "tls", ConfigType: &core.TransportSocket_TypedConfig{TypedConfig: pack(context)}}}
}

func anAssignment() proto.Message {
	return &endpoint.ClusterLoadAssignment{ClusterName: "c", Endpoints: []*endpoint.LocalityLbEndpoints{{
		Locality: &core.Locality{Region: "r", Zone: "z"}, Priority: 1, LoadBalancingWeight: number(3),
		LbEndpoints: []*endpoint.LbEndpoint{{HealthStatus: core.HealthStatus_DRAINING, LoadBalancingWeight: number(5),
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: address("fd00::1", 8080)}}}}}}}
}

func aSecret() proto.Message {
	inline := func(text string) *core.DataSource {
		return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: []byte(text)}}
	}
	return &tls.Secret{Name: "kubernetes://a/b", Type: &tls.Secret_TlsCertificate{
		TlsCertificate: &tls.TlsCertificate{CertificateChain: inline("CHAIN"), PrivateKey: inline("KEY")}}}
}

func main() {
	out := map[string]string{}
	for name, message := range map[string]proto.Message{"listeners": aListener(), "routes": aRoute(), "clusters": aCluster(),
		"loadAssignments": anAssignment(), "secrets": aSecret()} {
		bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		if err != nil {
			panic(err)
		}
		out[name] = base64.StdEncoding.EncodeToString(bytes)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(out); err != nil {
		panic(err)
	}
}
