#!/bin/bash
# Runs inside a Debian that systemd has booted, with relayd's package installed: the service through
# its life. Each line of the output that starts with "ok" is one thing seen; "end" is the last.
# The provider is a second relayd, `relayd demo`, on loopback.
exec > /check.out 2>&1
ask() { # PORT KEY: the status of one call
    curl -s -o /dev/null -m 20 -w '%{http_code}' "http://127.0.0.1:$1/v1/chat/completions" \
        -H "authorization: Bearer $2" -H 'content-type: application/json' \
        -d '{"model":"demo","messages":[{"role":"user","content":"hello"}]}'
}
ok() { if [ "$2" = "$3" ]; then echo "ok $1"; else echo "WRONG $1: $2, not $3"; fi; }
property() { systemctl show -P "$1" relayd.service; }

systemd-run -q --unit demo -p WorkingDirectory=/tmp -p StandardOutput=file:/tmp/demo.json -p StandardError=journal \
    /usr/bin/relayd demo --port 18080 --json
for _ in $(seq 100); do [ -s /tmp/demo.json ] && break; sleep 0.3; done
install -d -m 0700 /etc/credstore
sed 's/.*"key":"\([^"]*\)".*/\1/' /tmp/demo.json > /etc/credstore/relayd.openai
chmod 0600 /etc/credstore/relayd.openai
sed -i 's#https://api.openai.com/v1#http://127.0.0.1:18080/v1#; s#127.0.0.1:9464#127.0.0.1:19464#' \
    /etc/relayd/relayd.toml
printf '[console]\nlisten = "127.0.0.1:18081"\n' >> /etc/relayd/relayd.toml # the demo has the usual one
printf '[log]\nformat = "journald"\naccess = "all"\n' >> /etc/relayd/relayd.toml
logged() { # WHAT...: how many entries of the service, by fields
    journalctl --no-pager -q -u relayd.service -o cat "$@" | grep -c .
}

systemctl start relayd.service || journalctl --no-pager -u relayd.service -n 30
ok started "$(property ActiveState)" active
ok status "$(property StatusText)" Serving.
ok state-directory "$(stat -c %a /var/lib/private/relayd)" 700
ok own-user "$(($(stat -c %u "/proc/$(property MainPID)") >= 61184))" 1
ok filtered "$(grep -c '^Seccomp:.2$' "/proc/$(property MainPID)/status")" 1

as_relayd() { systemd-run -q --wait --pipe -p User=relayd -p DynamicUser=yes \
    -p StateDirectory=relayd -p StateDirectoryMode=0700 /usr/bin/relayd "$@"; }
as_relayd accounts create --email a@example.org --name A
key=$(as_relayd keys create --account a@example.org --name k --json | grep -o 'sk-relayd-[A-Za-z0-9]*')
sleep 2
ok call "$(ask 8080 "$key")" 200
sleep 2
ok journal-call "$(logged -p info RELAYD_EVENT=call RELAYD_OUTCOME=completed RELAYD_STATUS=200)" 1
console() { # PATH BODY: the status of one question to the console
    curl -s -o /dev/null -m 20 -w '%{http_code}' "http://127.0.0.1:18081$1" \
        ${2:+-H 'content-type: application/json' -d "$2"}
}
ok console "$(console /sign-in)" 200
ok console-password "$(console /api/v1/sessions '{"login":"a@example.org","password":"not this one"}')" 401
ok console-passkey "$(console /api/v1/sessions/passkey-options '{}')" 200
ok keys-private "$(stat -c %a /var/lib/private/relayd/keys.db /var/lib/private/relayd/master.key | uniq)" 600

pid=$(property MainPID)
systemctl reload relayd.service
ok reload "$? $(property MainPID) $(property ActiveState)" "0 $pid active"
sleep 1
ok reload-taken "$(property StatusText)" Serving.
cp /etc/relayd/relayd.toml /tmp/good.toml
echo 'nonsense = 1' >> /etc/relayd/relayd.toml
systemctl reload relayd.service
sleep 1
ok reload-refused "$(property StatusText | cut -d: -f1) $(property MainPID)" \
    "Serving as before $pid"
ok journal-refused "$(logged -p err RELAYD_EVENT=reload_refused)" 1
cp /tmp/good.toml /etc/relayd/relayd.toml
ok call-after-reload "$(ask 8080 "$key")" 200

kill -STOP "$pid"
for _ in $(seq 300); do [ "$(property MainPID)" != "$pid" ] && break; sleep 0.2; done
for _ in $(seq 100); do [ "$(property ActiveState)" = active ] && break; sleep 0.2; done
ok watchdog-restarted "$(property NRestarts) $(property ActiveState)" "1 active"
ok call-after-watchdog "$(ask 8080 "$key")" 200

systemctl stop relayd.service
ok stopped "$(property Result) $(property ExecMainStatus)" "success 0"
sed -i 's#listen = \["127.0.0.1:8080"\]#listen = ["systemd"]#' /etc/relayd/relayd.toml
mkdir -p /etc/systemd/system/relayd.socket.d
printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:8443\n' \
    > /etc/systemd/system/relayd.socket.d/port.conf
systemctl daemon-reload
systemctl start relayd.socket
ok socket-starts-it "$(ask 8443 "$key")" 200
systemctl restart relayd.service & sleep 0.1
ok call-in-a-restart "$(ask 8443 "$key")" 200
wait
journalctl --no-pager -u relayd.service -n 40 | sed 's/^/# /'
echo end
