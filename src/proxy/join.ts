/** Two links become one connection: backpressure both ways, half-closes handed on, a reset on one side resets the other. */
import type { Link } from './transport.ts';

/** `ended` is called once, when both have ended. */
export function joinLinks(downstream: Link, upstream: Link, ended: () => void): void {
  let open = 2;
  const closed = (peer: Link, error?: Error): void => {
    if (--open === 0) ended();
    /* An orderly end needs nothing here: both directions have been ended, and what is queued may still leave. */
    else if (error) peer.close(true);
  };
  pipe(downstream, upstream, closed);
  pipe(upstream, downstream, closed);
}

/** Bytes of `from` go to `to`; `closed` hears when `from` has ended for good. */
function pipe(from: Link, to: Link, closed: (peer: Link, error?: Error) => void): void {
  let ended = false;
  from.start({
    data(chunk) {
      if (!to.send(chunk)) from.pause();
    },
    end() {
      ended = true;
      to.end();
    },
    /* `from` takes bytes again: its peer may go on reading. */
    drain() {
      to.resume();
    },
    close(error) {
      closed(to, error ?? (ended ? undefined : new Error('closed without end')));
    },
  });
}
