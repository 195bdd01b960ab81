import { randomUUID } from 'node:crypto';
import { openMemoryDriver } from '../../src/drivers/memory/memory-driver.ts';
import { forgetStore } from '../../src/drivers/memory/memory-store.ts';
import { describeDriver } from './suite.ts';

const options = { pageObjectsMax: 10 };

describeDriver(
  'memory',
  async () => {
    const spec = { kind: 'memory', name: randomUUID() } as const;
    return {
      driver: openMemoryDriver(spec, options),
      reopen: async () => openMemoryDriver(spec, options),
      cleanup: async () => forgetStore(spec.name),
    };
  },
  { manyObjects: 47, lacks: ['folders', 'filePaths', 'serverCopy'] },
);
