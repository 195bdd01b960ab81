import type { CopyOptions } from '../../../src/core/job.ts';
import type { Binding } from '../../../src/drivers/driver.ts';

export const RUN = 'a1b2c3d4e5f6';

export const OPTIONS: CopyOptions = {
  layout: 'auto',
  isFrozen: false,
  threads: 1,
  concurrency: 'auto',
  partBytes: 'auto',
  memoryBytes: 1,
  engine: 'direct',
  serverSide: 'never',
  readsTwice: false,
  intoNonempty: false,
  keepGoing: false,
  deletesExtra: false,
  deleteMax: 1_000,
  abortsUploads: false,
  outageMsMax: 60_000,
  journalDirectory: '/nowhere',
};

export const BINDING: Binding = {
  payloadSha256: true,
  contentMd5: true,
  partCrc32: false,
  objectCrc32: false,
  storesSha256: true,
};
