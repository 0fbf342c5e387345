// Standard output is a pipe in tests, so the port has to be pushed out at once; everything else goes to standard error.
import Glibc

func flushStandardOutput() { fflush(nil) }

func tellOnStandardError(_ sentence: String) {
  let line = Array((sentence + "\n").utf8)
  // Where standard error is gone there is nobody to tell.
  _ = write(STDERR_FILENO, line, line.count)
}
