"""A FUSE file system that shows a folder and misbehaves when told to: the driver's view of a failing disk or NFS server.

    python3 faulty-fs.py MOUNTPOINT FOLDER

Speaks one JSON object a line: `{"ready": true}` once it is mounted, then an answer for every request on standard input
(install, used, remove; test/support/fuse.ts is the other side). When standard input ends, because its parent is done or
was killed, it unmounts, removes the mount point and ends: a mount without its program would hang whoever looks at it.
"""
import ctypes
import errno
import json
import os
import re
import subprocess
import sys
import threading
import time

from fusepy import FUSE, FuseOSError, Operations

MNT_DETACH = 2
STAT = ('st_atime', 'st_ctime', 'st_mtime', 'st_gid', 'st_uid', 'st_mode', 'st_nlink', 'st_size', 'st_ino', 'st_blocks')
STATFS = ('f_bavail', 'f_bfree', 'f_blocks', 'f_bsize', 'f_favail', 'f_ffree', 'f_files', 'f_flag', 'f_frsize', 'f_namemax')


class Rule:
    def __init__(self, given):
        ops = given['op']
        self.ops = [ops] if isinstance(ops, str) else ops
        self.match = re.compile(given.get('match', ''))
        self.skip = given.get('skip', 0)
        self.every = given.get('every', 1)
        self.times = given.get('times')  # None: always
        self.errno = given.get('errno')
        self.delay = given.get('delayMs', 0) / 1000
        self.hangs = given.get('hangs', False)  # until the rule is removed
        self.removed = threading.Event()
        self.flip_at = given.get('flipAt')  # offset in the file
        self.ends_at = given.get('endsAt')  # offset in the file
        self.after_bytes = given.get('afterBytes')  # written to matching files since the rule came
        self.seen = self.used = self.written = 0

    def befalls(self, op, path, args):
        """Counts the call; true where the rule takes effect on it."""
        if op not in self.ops or not self.match.search(path):
            return False
        if self.flip_at is not None:
            count = len(args[0]) if op == 'write' else args[0]
            if not args[1] <= self.flip_at < args[1] + count:
                return False
        if self.after_bytes is not None:
            self.written += len(args[0])
            if self.written <= self.after_bytes:
                return False
        self.seen += 1
        if self.seen <= self.skip or (self.seen - self.skip - 1) % self.every:
            return False
        if self.times is not None and self.used >= self.times:
            return False
        self.used += 1
        return True


def flipped(data, places):
    for at in places:
        if at < len(data):
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
    return data


class FaultyFolder(Operations):
    def __init__(self, folder):
        self.folder = folder
        self.rules = {}
        self.next_id = 1
        self.mutex = threading.Lock()

    def control(self, request):
        with self.mutex:
            if request['call'] == 'install':
                ids = []
                for given in request['rules']:
                    self.rules[self.next_id] = Rule(given)
                    ids.append(self.next_id)
                    self.next_id += 1
                return ids
            if request['call'] == 'used':
                return [self.rules[id].used for id in request['ids']]
            for id in request['ids']:
                self.rules[id].times = 0
                self.rules[id].removed.set()
            return []

    def __call__(self, op, path, *args):
        path = path or ''
        with self.mutex:
            struck = [rule for rule in self.rules.values() if rule.befalls(op, path, args)]
        for rule in struck:
            if rule.delay:
                time.sleep(rule.delay)
            if rule.hangs:
                rule.removed.wait()
            if rule.errno:
                raise FuseOSError(getattr(errno, rule.errno))
        flips = [rule.flip_at - args[1] for rule in struck if rule.flip_at is not None]
        if op == 'write':
            return self.write(path, flipped(args[0], flips), *args[1:])
        result = getattr(self, op)(path, *args)
        for rule in struck:
            if rule.ends_at is not None:
                result = result[:max(0, rule.ends_at - args[1])]
        return flipped(result, flips) if flips else result

    def at(self, path):
        return self.folder + path

    def init(self, path):
        say({'ready': True})

    def access(self, path, mode):
        if not os.access(self.at(path), mode):
            raise FuseOSError(errno.EACCES)

    def getattr(self, path, fh=None):
        stat = os.lstat(self.at(path)) if fh is None else os.fstat(fh)
        return {name: getattr(stat, name) for name in STAT}

    def statfs(self, path):
        stat = os.statvfs(self.at(path))
        return {name: getattr(stat, name) for name in STATFS}

    def readdir(self, path, fh):
        return ['.', '..'] + os.listdir(self.at(path))

    def readlink(self, path):
        return os.readlink(self.at(path))

    def open(self, path, flags):
        return os.open(self.at(path), flags)

    def create(self, path, mode, fi=None):
        return os.open(self.at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(self.at(path) if fh is None else fh, length)

    def flush(self, path, fh):
        return 0

    def fsync(self, path, datasync, fh):
        return os.fsync(fh)

    def fsyncdir(self, path, datasync, fh):
        folder = os.open(self.at(path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return 0

    def release(self, path, fh):
        return os.close(fh)

    def mkdir(self, path, mode):
        return os.mkdir(self.at(path), mode)

    def rmdir(self, path):
        return os.rmdir(self.at(path))

    def unlink(self, path):
        return os.unlink(self.at(path))

    def rename(self, old, new):
        return os.rename(self.at(old), self.at(new))

    def link(self, new, old):
        return os.link(self.at(old), self.at(new))

    def symlink(self, new, to):
        return os.symlink(to, self.at(new))

    def chmod(self, path, mode):
        return os.chmod(self.at(path), mode)

    def chown(self, path, uid, gid):
        return os.chown(self.at(path), uid, gid)

    def utimens(self, path, times=None):
        return os.utime(self.at(path), times)


saying = threading.Lock()


def say(message):
    with saying:
        try:
            sys.stdout.write(json.dumps(message) + '\n')
            sys.stdout.flush()
        except BrokenPipeError:
            pass


def unmount(mountpoint):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(mountpoint.encode(), MNT_DETACH) != 0:
        subprocess.run(['fusermount3', '-u', '-z', mountpoint], check=False)


def remove(mountpoint):
    try:
        os.rmdir(mountpoint)
    except OSError:
        pass


def obey(operations, mountpoint):
    for line in sys.stdin:
        request = json.loads(line)
        say({'id': request['id'], 'result': operations.control(request)})
    unmount(mountpoint)
    remove(mountpoint)
    # Calls that hang on purpose would keep the file system's loop from ending.
    time.sleep(0.5)
    os._exit(0)


def main():
    mountpoint, folder = (os.path.abspath(path) for path in sys.argv[1:3])
    operations = FaultyFolder(folder)
    threading.Thread(target=obey, args=(operations, mountpoint), daemon=True).start()
    # Nothing is kept by the kernel, so that every call comes here; inode numbers are those of the folder; and an open
    # file that is removed is removed, not renamed, which would use up faults of renames.
    try:
        FUSE(operations, mountpoint, foreground=True, raw_fi=False, use_ino=True, direct_io=True, attr_timeout=0,
             hard_remove=True, entry_timeout=0, big_writes=True, max_write=131072, max_read=131072, fsname='blobferry-test')
    finally:
        # Unmounted: the loop may end, and the process with it, before the other thread has come to this.
        remove(mountpoint)


main()
