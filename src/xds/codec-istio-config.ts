/**
 * The messages of istiod's own configuration API (istio/config in proto/), of which only names and conditions are read.
 */
import type { MessageCodec } from './codec.ts';
import type { Resource, Resource__Output } from './gen/istio/mcp/v1alpha1/Resource.ts';
import type {
  DestinationRule,
  DestinationRule__Output,
} from './gen/istio/networking/v1alpha3/DestinationRule.ts';
import type {
  VirtualService,
  VirtualService__Output,
} from './gen/istio/networking/v1alpha3/VirtualService.ts';
import type {
  AuthorizationPolicy,
  AuthorizationPolicy__Output,
} from './gen/istio/security/v1beta1/AuthorizationPolicy.ts';

export type WireAuthorizationPolicy = AuthorizationPolicy__Output;

export interface IstioConfigCodecs {
  readonly resource: MessageCodec<Resource, Resource__Output>;
  readonly virtualService: MessageCodec<VirtualService, VirtualService__Output>;
  readonly destinationRule: MessageCodec<DestinationRule, DestinationRule__Output>;
  readonly authorizationPolicy: MessageCodec<AuthorizationPolicy, AuthorizationPolicy__Output>;
}
