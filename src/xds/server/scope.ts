/**
 * What one client may have of everything there is.
 */
import type { Identity } from '../../model/identity.ts';
import type { MeshUpdate } from '../../model/messages.ts';
import type { ResourceKey } from '../resource-types.ts';
import type { AnyResource } from './entry.ts';

/** Who holds a stream, as its credential proves. */
export interface StreamClient {
  readonly identity: Identity;
  /** undefined: bound to no node */
  readonly node: string | undefined;
  /** undefined: control's own */
  readonly cluster?: string;
  /** What the credential is worth by now; absent: it counts for as long as the stream lives. */
  readonly recheck?: () => Promise<Standing>;
}

/** `over`: it has ended as it should, and whoever held it has a newer one */
export type Standing = 'valid' | 'over' | 'refused';

export interface Scope {
  /** whose addresses Services are shown with; undefined: as they are */
  readonly cluster: string | undefined;
  has(key: ResourceKey, name: string, resource: AnyResource): boolean;
  /** Types of which resources that did not change may have come in or gone out since the last call. */
  moved(): readonly ResourceKey[];
}

export interface Scopes {
  /** Before the streams look at it. */
  apply(update: MeshUpdate): void;
  scopeOf(client: StreamClient): Scope;
}

const UNLIMITED: Scope = { cluster: undefined, has: () => true, moved: () => [] };

/** Everybody gets everything. */
export const NO_LIMITS: Scopes = { apply: () => {}, scopeOf: () => UNLIMITED };
