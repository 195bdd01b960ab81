/** Steps that others name. */
export const READ_ONLY = 'read-only';
