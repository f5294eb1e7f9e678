/// <reference types="vitest/config" />
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import react from '@vitejs/plugin-react';
import { defineConfig, type ProxyOptions } from 'vite';

/**
 * Where the API is while the console is developed: a lab's address, and the certificate authority of its
 * installation, so that the proxy proves whom it talks to instead of trusting anybody.
 */
function toApi(): Record<string, ProxyOptions> {
  const target = process.env.BCDR_API;
  const authority = process.env.BCDR_CA;
  if (!target) return {};
  const proxy: ProxyOptions = {
    target,
    changeOrigin: true,
    ...(authority ? { agent: new Agent({ ca: readFileSync(authority), keepAlive: true }) } : {}),
    secure: true,
  };
  return { '/api': proxy, '/metrics': proxy };
}

/** What the server has to send with the console; `preview` sends it too, so that a breach shows early. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export default defineConfig({
  base: '/',
  plugins: [react()],
  build: {
    target: 'es2022',
    assetsDir: 'assets',
    // An asset inlined as a data: address would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    // One file, which the binary embeds and the browser keeps.
    chunkSizeWarningLimit: 1200,
  },
  server: { proxy: toApi() },
  preview: {
    proxy: toApi(),
    headers: {
      'Content-Security-Policy': CONTENT_SECURITY_POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
