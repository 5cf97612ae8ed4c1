/*
 * A TLS client of Java (orders.h). New keys cannot be ordered there: the library asks for them by itself, in both
 * directions, after so many bytes as the fourth argument says.
 */
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.security.Security;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;

public class Client {
	private static volatile boolean ended;

	private static class TakeAny implements X509TrustManager {
		public void checkClientTrusted(X509Certificate[] chain, String kind) {
		}

		public void checkServerTrusted(X509Certificate[] chain, String kind) {
		}

		public X509Certificate[] getAcceptedIssuers() {
			return new X509Certificate[0];
		}
	}

	private static void show(InputStream server) {
		byte[] bytes = new byte[16384];

		try {
			for (int n; (n = server.read(bytes)) > 0;) {
				System.out.write(bytes, 0, n);
				System.out.flush();
			}
			System.out.println(ended ? "closed" : "the server has closed");
			System.out.flush();
			System.exit(ended ? 0 : 1);
		} catch (IOException e) {
			System.err.println(e);
			System.exit(1);
		}
	}

	public static void main(String[] arguments) throws Exception {
		int port = Integer.parseInt(arguments[0]);
		DataInputStream orders = new DataInputStream(System.in);
		SSLContext context;
		SSLSocket socket;

		/* Read once, with the first use of TLS. */
		Security.setProperty("jdk.tls.keyLimits",
			"AES/GCM/NoPadding KeyUpdate " + arguments[3] + ", ChaCha20-Poly1305 KeyUpdate " + arguments[3]);
		context = SSLContext.getInstance("TLS");
		context.init(null, new TrustManager[] {new TakeAny()}, null);
		socket = (SSLSocket)context.getSocketFactory().createSocket("127.0.0.1", port);
		socket.setTcpNoDelay(true);
		socket.setEnabledProtocols(new String[] {"TLSv" + arguments[1]});
		socket.setEnabledCipherSuites(new String[] {arguments[2]});
		socket.startHandshake();
		InputStream server = socket.getInputStream();
		OutputStream out = socket.getOutputStream();
		new Thread(() -> show(server)).start();
		try {
			for (;;) {
				byte[] bytes = new byte[orders.readInt()];

				orders.readFully(bytes);
				out.write(bytes);
				out.flush();
			}
		} catch (EOFException e) {
			ended = true;
			socket.shutdownOutput();
		}
	}
}
