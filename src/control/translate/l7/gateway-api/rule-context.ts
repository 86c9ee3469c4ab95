/**
 * What the rules of one route are translated with.
 */
import type { ApiReport } from './report.ts';
import type { ApiRoute, ApiView } from './view.ts';

export interface RuleContext {
  readonly route: ApiRoute;
  readonly view: ApiView;
  /** of the listener, or of the Service */
  readonly port: number;
  /** requests come to the listener over TLS */
  readonly tls: boolean;
  readonly report: ApiReport;
}
