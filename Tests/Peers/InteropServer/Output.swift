// Standard output is a pipe in tests, so the port has to be pushed out at once.
import Glibc

func flushStandardOutput() { fflush(nil) }
