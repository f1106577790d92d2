import type { Recipe } from './recipe.ts';

/** Starts an nginx with these directives in `http` and in its only server. @returns its port. */
export function startNginx(recipe: Recipe, http: string, server: string, name = 'nginx'): Promise<number> {
  const file = (port: number): string =>
    recipe.write(
      `${name}/nginx.conf`,
      `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid nginx.pid;
events { worker_connections 256; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((use) => `${use}_temp_path ${use};`).join(' ')}
  ${http}
  server {
    listen 127.0.0.1:${port};
    ${server}
  }
}
`,
    );
  return recipe.start('nginx', (port) => ['-c', file(port), '-p', recipe.path(name), '-e', 'stderr']);
}
