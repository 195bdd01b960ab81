#!/usr/bin/env node
/**
 * Entry of the command line. Everything else is imported only after four things are settled that come too late later:
 * the version of Node, the size of the thread pool, the compile cache, and how the heap grows.
 */
import module from 'node:module';
import { dirname } from 'node:path';
import { keepYoungGenerationSmall } from './heap.ts';

const OLDEST_NODE = 24;
/** libuv's own default of 4 threads would let four slow file reads (NFS) or DNS look-ups hold up all others. */
const POOL_THREADS = '32';

const major = Number(process.versions.node.split('.')[0]);
if (major < OLDEST_NODE) {
  console.error(`blobferry: Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}`);
  console.error('  In a checkout "npm run -s blobferry -- …" uses the Node that npm ci installed');
  process.exitCode = 2;
} else {
  process.env['UV_THREADPOOL_SIZE'] ??= POOL_THREADS;
  module.enableCompileCache();
  // Threads look for the cache in the environment before they load their first file: 12 MB less in each of them.
  const cache = module.getCompileCacheDir();
  if (cache !== undefined) process.env['NODE_COMPILE_CACHE'] ??= dirname(cache);
  keepYoungGenerationSmall();
  keepLibrariesQuiet();
  const { runCli } = await import('./run.ts');
  const exitCode = await runCli(process.argv.slice(2), {
    stdout: process.stdout,
    stderr: process.stderr,
    // Opened when it is asked for: whoever never asks leaves it alone.
    get stdin() {
      return process.stdin;
    },
    env: process.env,
  });
  process.exitCode = exitCode;
  // Everything is done and written. A connection somebody forgot must not keep the shell waiting.
  setTimeout(() => process.exit(exitCode), 500).unref();
}

/** Google's library warns whoever wrote the program that no metadata server answers; that is told as an error, in our words. */
function keepLibrariesQuiet(): void {
  const printing = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === 'MetadataLookupWarning') return;
    for (const print of printing) print(warning);
  });
}
