# What the scripts share: words to the reader, Debian packages, the Python environment for tools and tests, builds.
# Sourced by them, after they have gone to the root of the repository.
# shellcheck shell=bash

readonly PACKAGES=(
  libnghttp2-dev libcurl4-openssl-dev libssh2-1-dev libssl-dev libsqlite3-dev zlib1g-dev libzstd-dev pkg-config openssh-server openssh-client python3-venv curl
)
# What only the tests and benches talk to.
readonly TEST_PACKAGES=(vsftpd chromium fonts-dejavu-core zstd libhiredis0.14 libmemcached11 libmemcachedutil2 libpcre2-posix3)
# What of ProFTPD is needed, with the libraries above: Debian lets nobody install it beside vsftpd.
readonly PROFTPD=.build/proftpd
readonly VENV=.venv

say() { printf -- '- %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages [MORE...]: installs what is missing of the system's packages; asks for nothing and touches nothing when all
# are there.
install_packages() {
  command -v dpkg-query >/dev/null || {
    say "no Debian packages here: taking the libraries as they are"
    return
  }
  local package missing=()
  for package in "${PACKAGES[@]}" "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "installing packages: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # Debian starts servers of the whole machine with their packages. Only the programs are wanted here.
  [ -d /run/systemd/system ] || return 0
  if [[ " ${missing[*]} " == *" openssh-server "* ]]; then
    say "switching off the system's own SSH server, which came with openssh-server"
    as_root systemctl disable --now ssh.service ssh.socket >/dev/null 2>&1 || true
  fi
  if [[ " ${missing[*]} " == *" vsftpd "* ]]; then
    say "switching off the system's own FTP server, which came with vsftpd"
    as_root systemctl disable --now vsftpd.service >/dev/null 2>&1 || true
  fi
}

unpack_proftpd() {
  [ -x "$PROFTPD/usr/sbin/proftpd" ] && return
  command -v dpkg-deb >/dev/null || return 0
  say "unpacking ProFTPD into $PROFTPD"
  local folder
  folder=$(mktemp -d)
  chmod 755 "$folder"
  (cd "$folder" && { apt-get download -qq proftpd-core 2>/dev/null || { as_root apt-get update -qq && apt-get download -qq proftpd-core; }; }) ||
    fail "ProFTPD's package can't be had: see the words above"
  rm -rf "$PROFTPD"
  mkdir -p "$PROFTPD"
  dpkg-deb -x "$folder"/proftpd-core_*.deb "$PROFTPD"
  rm -rf "$folder"
}

# python_tools REQUIREMENT...: a virtual environment with these; versions are those of Tests/Peers/requirements.txt.
python_tools() {
  local stamp
  stamp="$VENV/installed-$(printf '%s ' "$@" | cat - Tests/Peers/requirements.txt | sha256sum | cut -c1-16)"
  [ -e "$stamp" ] && return
  say "preparing $VENV ($*)"
  [ -x "$VENV/bin/python" ] || python3 -m venv "$VENV" || return
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --constraint Tests/Peers/requirements.txt "$@" || return
  touch "$stamp"
}

# The programs as they are to be installed: each runs without a Swift toolchain on the machine, and takes less memory than
# with shared libraries.
build_release() { swift build -c release --static-swift-stdlib "$@"; }

need_swift() {
  command -v swift >/dev/null || fail "Swift 6.3 is not on PATH. Install it from swift.org first."
}
