/** What file systems lack, wherever they are. */
import type { Requirement } from './case.ts';

export const FS_LACKS: readonly Requirement[] = [
  'streamUpload',
  'noFolders',
  'binding',
  'serverCopy',
  'refusesWrongSha256',
  'refusesWrongPartCrc32',
  'refusesWrongObjectCrc32',
];
