/** A live pass of a migration's engine that kills itself, and its threads, as soon as so many objects are copied. */
import process from 'node:process';
import type { MigrationEngineInput } from '../../src/cli/migration/open-engine.ts';
import { openMigrationEngine } from '../../src/cli/migration/open-engine.ts';

const [input = '', copied = '0'] = process.argv.slice(2);
const parts = JSON.parse(input) as Omit<MigrationEngineInput, 'onNotice'>;
const engine = openMigrationEngine({ ...parts, onNotice: () => undefined });
const { signal } = new AbortController();
await engine.runPass(
  {
    signal,
    onProgress: ({ objectsMoved }) => {
      if (objectsMoved >= Number(copied)) process.kill(process.pid, 'SIGKILL');
    },
  },
  { kind: 'live' },
);
