import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const server = process.env.WEIR_URL ?? 'http://localhost:8080';

export default defineConfig({
  base: '/admin/',
  plugins: [react()],
  resolve: {
    alias: { 'weir-player/engine': new URL('../player/dist/engine.js', import.meta.url).pathname },
  },
  worker: { format: 'es' },
  build: {
    target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
    // Nothing inline: the content security policy forbids it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 800,
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': server, '/live': { target: server, ws: true } } },
});
