#!/usr/bin/env node
// Entry of the installed package. Old JavaScript: whatever Node finds it must get as far as the sentence below.
'use strict';

const OLDEST_NODE = 24;

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  console.error(`blobferry: Node ${OLDEST_NODE} or newer is needed, this is ${process.versions.node}`);
  console.error(`  Put a newer one first in PATH; this one is ${process.execPath}`);
  process.exitCode = 2;
} else {
  import('../dist/src/cli/main.js');
}
