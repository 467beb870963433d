# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Real servers, for scenarios that say  . "$TREE/tests/support/servers.sh".  They belong to whoever runs the test, root or
# not, lie in the scenario's folder, and listen on an address of the loopback network that no other scenario has.
#
#   $HERE                             the address
#   authority                         makes ca.key and ca.pem
#   certificate NAME SUBJECT-ALT-NAME [DAYS]     of the authority: NAME.key, NAME.pem
#   nginx_start <<'CONF'              with these server blocks; access.log has "PROTOCOL CONNECTION STATUS PATH" a line
#   connections_of PROTOCOL           how many connections access.log has of it: HTTP/1.1, HTTP/2.0
#   tinyproxy_start PORT LINE ...     with these lines of its configuration; proxy-PORT.log has what it was asked for
#   names NAME ...                    what tinyproxy takes for $HERE
HERE=127.$((1 + ($$ >> 16 & 63))).$(($$ >> 8 & 255)).$(($$ & 255))
export HERE

new_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
}

authority() {
	new_key ca
	openssl req -x509 -key ca.key -subj /CN=authority -days 2 -out ca.pem
}

certificate() {
	new_key "$1"
	openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "${3-2}" -out "$1.pem" \
		-extfile <(echo "subjectAltName=$2") 2>/dev/null
}

answers() {
	(exec 3<>"/dev/tcp/$HERE/$1") 2>/dev/null
}

nginx_start() {
	local program first
	program=$(PATH=$PATH:/usr/sbin command -v nginx)
	cat >servers.conf
	cat >nginx.conf <<CONF
$([ "$(id -u)" != 0 ] || echo 'user root;')
daemon off;
master_process off; # workers would outlive it
pid nginx.pid;
error_log nginx.err;
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
	log_format seen '\$server_protocol \$connection \$status \$request_uri';
	access_log access.log seen;
	client_body_temp_path client;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	upstream mock {
		server ${MOCK_URL#http://};
		keepalive 1000;
	}
	include servers.conf;
}
CONF
	"$program" -p "$PWD/" -e nginx.err -c nginx.conf &
	pids+=($!)
	first=$(grep -oE "$HERE:[0-9]+" servers.conf | head -n 1)
	wait_until 10 answers "${first#*:}"
}

connections_of() {
	awk -v protocol="$1" '$1 == protocol && !seen[$2]++ { n++ } END { print n + 0 }' access.log
}

names() {
	printf "$HERE %s\n" "$@" >names
}

tinyproxy_start() {
	local port=$1
	printf '%s\n' "Port $port" "Listen $HERE" "LogFile \"$PWD/proxy-$port.log\"" 'LogLevel Connect' 'Timeout 20' \
		"${@:2}" >"proxy-$port.conf"
	LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_HOSTS=$PWD/names tinyproxy -d -c "proxy-$port.conf" >/dev/null &
	pids+=($!)
	wait_until 10 answers "$port"
}
