/**
 * nginx as the server of the HTTP shapes: one process, one small static file, no log.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Sandbox } from './sandbox.ts';
import { BODY_BYTES } from './shapes.ts';

export function nginxConfig(sandbox: Sandbox, address: string): string {
  const root = join(sandbox.folder, 'www');
  mkdirSync(root, { recursive: true });
  sandbox.writeFile('www/index.html', 'x'.repeat(BODY_BYTES));
  return `user root;
daemon off;
master_process off;
pid ${join(sandbox.folder, 'nginx.pid')};
error_log stderr error;
events {
  worker_connections 4096;
}
http {
  access_log off;
  keepalive_requests 1000000000;
  tcp_nodelay on;
  client_body_temp_path ${join(sandbox.folder, 'nginx-body')};
  proxy_temp_path ${join(sandbox.folder, 'nginx-proxy')};
  fastcgi_temp_path ${join(sandbox.folder, 'nginx-fastcgi')};
  uwsgi_temp_path ${join(sandbox.folder, 'nginx-uwsgi')};
  scgi_temp_path ${join(sandbox.folder, 'nginx-scgi')};
  server {
    listen ${address};
    root ${root};
    open_file_cache max=16;
  }
}
`;
}
