/** Owner of the proxy's live connections: counts them and ends those that are no longer allowed. */
import type { ListenerInfo } from './tcp-proxy.ts';
import type { Endpoint, Origin } from './transport.ts';

export interface ProxiedConnection {
  readonly origin: Origin;
  readonly listener: ListenerInfo;
  /** the other end of the accepted link */
  readonly peer: Endpoint;
  close(reset: boolean): void;
}

export class ConnectionTable {
  readonly #live = new Set<ProxiedConnection>();
  opened = 0;
  failed = 0;
  /** connections that came to a listener by another way than connect4/6 or sk_lookup */
  refused = 0;
  /** that policy did not let in */
  denied = 0;

  add(connection: ProxiedConnection): void {
    this.#live.add(connection);
    this.opened++;
  }

  remove(connection: ProxiedConnection): void {
    this.#live.delete(connection);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Ends every connection that `condition` names; returns how many. */
  closeWhere(condition: (connection: ProxiedConnection) => boolean): number {
    let closed = 0;
    for (const connection of [...this.#live]) {
      if (!condition(connection)) continue;
      connection.close(true);
      closed++;
    }
    return closed;
  }
}
